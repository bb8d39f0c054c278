package haul_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/clock/clocktest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// Every image arrives whatever the registry does, if it is tried as often as the
// queue would; and the bytes sent again stay within bounds.
func TestImagesArriveThroughFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for name, fault := range map[string]func(*dice, *http.Request) *registrytest.Fault{
		"connections cut at random bytes": func(d *dice, r *http.Request) *registrytest.Fault {
			if d.hit(0.15) {
				return &registrytest.Fault{After: d.upTo(r.ContentLength)}
			}
			return nil
		},
		"500 at one in ten": func(d *dice, _ *http.Request) *registrytest.Fault {
			if d.hit(0.1) {
				return &registrytest.Fault{Status: http.StatusInternalServerError}
			}
			return nil
		},
		"429 without Retry-After": func(d *dice, _ *http.Request) *registrytest.Fault {
			if d.hit(0.2) {
				return &registrytest.Fault{Status: http.StatusTooManyRequests}
			}
			return nil
		},
		"429 with Retry-After": func(d *dice, _ *http.Request) *registrytest.Fault {
			if d.hit(0.2) {
				return &registrytest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}
			}
			return nil
		},
		"something else wrong at one in ten": func(d *dice, r *http.Request) *registrytest.Fault {
			if !d.hit(0.1) {
				return nil
			}
			faults := []registrytest.Fault{
				{Status: http.StatusInternalServerError}, {Status: http.StatusGatewayTimeout, Late: true}, {Late: true}, {After: d.upTo(r.ContentLength)},
				{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>"}, {Status: http.StatusServiceUnavailable},
			}
			if r.Method == http.MethodHead {
				faults = append(faults, registrytest.Fault{Status: http.StatusMethodNotAllowed}, registrytest.Fault{Status: http.StatusForbidden})
			}
			if r.URL.Query().Has("mount") {
				faults = append(faults, registrytest.Fault{Status: http.StatusNotFound}, registrytest.Fault{Status: http.StatusBadRequest})
			}
			if strings.Contains(r.URL.Path, "/manifests/") && r.Method == http.MethodPut {
				faults = append(faults, registrytest.Fault{Status: http.StatusBadRequest, Code: "MANIFEST_BLOB_UNKNOWN"})
			}
			return &faults[d.upTo(int64(len(faults)))]
		},
		"401 during uploads": func(d *dice, r *http.Request) *registrytest.Fault {
			if r.Method == http.MethodPut && d.hit(0.3) {
				return &registrytest.Fault{Status: http.StatusUnauthorized, After: d.upTo(r.ContentLength),
					Header: http.Header{"Www-Authenticate": {`Bearer realm="http://` + r.Host + `/token",service="x"`}}}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, c := newDice(1), clocktest.New()
			fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret", TokenLife: 5 * time.Second, Now: c.Now,
				Fault: func(r *http.Request) *registrytest.Fault { return fault(d, r) }})
			server := castest.Start(t)
			server.SetRules(castest.Rules{CutAfter: 700_000})
			h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{
				Keychain: keychain{Username: "ann", Password: "secret"}, Now: c.Now, Wait: c.Wait})
			var specs []*pushspec.Spec
			var size int64
			for i := range 8 {
				specs = append(specs, image(t, server, fake.Host, fmt.Sprintf("acme/app-%d", i%3), []string{fmt.Sprintf("v%d", i)},
					noise(1, 5<<20), noise(uint64(10+i), 1<<20)))
				size += 1 << 20
			}
			size += 5 << 20
			for try, left := 1, specs; len(left) > 0; try++ {
				if try > 30 {
					t.Fatalf("%d images did not arrive in 30 tries", len(left))
				}
				_, errs := haulAll(t.Context(), h, left)
				var again []*pushspec.Spec
				for i, err := range errs {
					failed, ok := errors.AsType[*haul.Error](err)
					if ok && !failed.Class.Final() {
						again = append(again, left[i])
					} else if err != nil {
						t.Fatalf("try %d: %v", try, err)
					}
				}
				left = again
			}
			fake.SetRules(registrytest.Rules{})
			for i, spec := range specs {
				checkImage(t, fake.Host, fmt.Sprintf("acme/app-%d", i%3), fmt.Sprintf("v%d", i), spec.Root)
			}
			var sent int64
			for _, n := range fake.Received() {
				sent += n
			}
			if sent > 4*size {
				t.Errorf("%d bytes were sent for blobs of %d", sent, size)
			}
		})
	}
}
