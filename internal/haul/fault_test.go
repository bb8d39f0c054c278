package haul_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

type keychain authn.AuthConfig

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return authn.FromConfig(authn.AuthConfig(k)), nil
}

// dice decides by a seed, for all requests of a test.
type dice struct {
	mu sync.Mutex
	*rand.Rand
}

func newDice(seed uint64) *dice { return &dice{Rand: rand.New(rand.NewPCG(seed, 4))} }

func (d *dice) hit(chance float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Float64() < chance
}

func (d *dice) upTo(n int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Int64N(max(1, n))
}

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
			d, c := newDice(1), newClock()
			fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret", TokenLife: 5 * time.Second, Now: c.now,
				Fault: func(r *http.Request) *registrytest.Fault { return fault(d, r) }})
			server := castest.Start(t)
			server.SetRules(castest.Rules{CutAfter: 700_000})
			h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{
				Keychain: keychain{Username: "ann", Password: "secret"}, Now: c.now, Wait: c.wait})
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
					var failed *haul.Error
					if errors.As(err, &failed) && !failed.Class.Final() {
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

func TestACacheThatRestartsCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	layer := noise(1, 20<<20)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, layer)
	var away atomic.Int32
	server.SetRules(castest.Rules{CutAfter: 6 << 20, Fail: func(string) error {
		if away.Add(1)%3 == 0 {
			return nil
		}
		return status.Error(codes.Unavailable, "restarting")
	}})
	if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkImage(t, fake.Host, "acme/app", "v1", spec.Root)
	if got := fake.Received()[spec.Blobs[0].Digest.String()]; got != int64(len(layer)) {
		t.Errorf("%d bytes were sent for a layer of %d", got, len(layer))
	}
}

func TestFailuresHaveTheirClass(t *testing.T) {
	for name, c := range map[string]struct {
		fault registrytest.Fault
		want  haul.Class
	}{
		"forbidden":   {registrytest.Fault{Status: http.StatusForbidden}, haul.Denied},
		"no method":   {registrytest.Fault{Status: http.StatusMethodNotAllowed}, haul.Rejected},
		"bad gateway": {registrytest.Fault{Status: http.StatusBadGateway}, haul.Unavailable},
		"no answer":   {registrytest.Fault{}, haul.Unavailable},
		"come back later": {registrytest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"900"}}},
			haul.Throttled},
		"elsewhere": {registrytest.Fault{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {"http://elsewhere.example/"}}},
			haul.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			server := castest.Start(t)
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault { return &c.fault }})
			spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 10))
			_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
			var failed *haul.Error
			if !errors.As(err, &failed) || failed.Class != c.want || !strings.Contains(err.Error(), "registry") {
				t.Errorf("got error %v, want class %s", err, c.want)
			}
			if c.want == haul.Throttled && failed.RetryAfter < 800*time.Second {
				t.Errorf("the error says to come back in %s, want 900s", failed.RetryAfter)
			}
		})
	}
}

func TestTheCachesRefusalIsNotTheRegistrys(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 10))
	server.SetRules(castest.Rules{Fail: func(string) error { return status.Error(codes.PermissionDenied, "no key") }})
	_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
	var failed *haul.Error
	if !errors.As(err, &failed) || failed.Class != haul.Denied || !strings.Contains(err.Error(), "remote cache") || strings.Contains(err.Error(), "registry") {
		t.Errorf("got error %v, want one of class %s that names the cache alone", err, haul.Denied)
	}
}

func TestALateBlobIsWaitedFor(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	layer := noise(1, 3<<20)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, layer)
	server.Evict(server.Put(layer))
	var asked atomic.Int32
	server.SetRules(castest.Rules{Fail: func(call string) error {
		if call == "Read" && asked.Add(1) == 3 {
			server.Put(layer)
		}
		return nil
	}})
	if _, err := newHauler(t, server, haul.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkImage(t, fake.Host, "acme/app", "v1", spec.Root)
}

func TestBaseLayersComeFromRegistries(t *testing.T) {
	for _, same := range []bool{true, false} {
		fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
		base := fake
		if !same {
			base = registrytest.Start(t, registrytest.Rules{})
		}
		layer := noise(1, 5<<20)
		base.PutBlob("library/ubuntu", layer)
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, layer, noise(2, 10))
		server.Evict(server.Put(layer))
		spec.Blobs[0].Sources = []pushspec.Source{{Repository: base.Host + "/library/ubuntu"}}
		result, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
		if err != nil {
			t.Fatal(err)
		}
		checkImage(t, fake.Host, "acme/app", "v1", spec.Root)
		if got := result.Mounted.Blobs == 1; got != same {
			t.Errorf("same registry %t: the result is %+v", same, result)
		}
	}
}

// withReferrer makes the spec's image part of an index of indexes, with a
// signature that refers to it.
func withReferrer(t *testing.T, spec *pushspec.Spec) {
	t.Helper()
	add := func(mediaType types.MediaType, text string) v1.Descriptor {
		d := descriptor(mediaType, []byte(text))
		embedded := d
		embedded.Data = []byte(text)
		spec.Manifests = append(spec.Manifests, embedded)
		return d
	}
	index := func(d v1.Descriptor) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
			d.MediaType, d.Digest, d.Size)
	}
	inner := add(types.OCIImageIndex, index(spec.Manifests[0]))
	root := add(types.OCIImageIndex, index(inner))
	spec.Root = root.Digest
	add(types.OCIImageIndex, fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"artifactType":"application/x.signature","subject":{"mediaType":%q,"digest":%q,"size":%d}}`,
		root.MediaType, root.Digest, root.Size))
	if err := spec.Validate(); err != nil {
		t.Fatalf("the test's spec is wrong: %v", err)
	}
}

func TestIndexesAndReferrersArrive(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		fake, server := registrytest.Start(t, registrytest.Rules{Referrers: referrers}), castest.Start(t)
		spec := image(t, server, fake.Host, "acme/app", []string{"v1", "v2"}, noise(1, 100))
		withReferrer(t, spec)
		if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
		for _, m := range spec.Manifests {
			if _, found := fake.Manifest("acme/app", m.Digest.String()); !found {
				t.Errorf("manifest %s did not arrive", m.Digest)
			}
		}
		for _, tag := range []string{"v1", "v2"} {
			if data, _ := fake.Manifest("acme/app", tag); descriptor("", data).Digest != spec.Root {
				t.Errorf("tag %s does not point to the root", tag)
			}
		}
		fallback, found := fake.Manifest("acme/app", strings.ReplaceAll(spec.Root.String(), ":", "-"))
		if found == referrers {
			t.Errorf("registry keeps referrers: %t, and there is a fallback tag: %t", referrers, found)
		}
		if signature := spec.Manifests[3].Digest.String(); found && (!strings.Contains(string(fallback), signature) || !strings.Contains(string(fallback), "application/x.signature")) {
			t.Errorf("the index under the fallback tag is %s, want one that lists %s", fallback, signature)
		}
	}
}

func TestTheIndexOfReferrersKeepsWhatOthersSayInIt(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	withReferrer(t, spec)
	tag := strings.ReplaceAll(spec.Root.String(), ":", "-")
	others := `"annotations":{"by":"somebody else"},"vendor":{"n":12345678901234567890}`
	signature := `{"schemaVersion":2,"manifests":[]}`
	listed := descriptor(types.OCIImageIndex, []byte(signature))
	entry := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":"linux","architecture":"arm","vendor":1}}`, listed.MediaType, listed.Digest, listed.Size)
	put(t, fake.Host+"/v2/acme/app/manifests/"+listed.Digest.String(), signature)
	put(t, fake.Host+"/v2/acme/app/manifests/"+tag, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[`+entry+`],`+others+`}`)
	if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	index, _ := fake.Manifest("acme/app", tag)
	for _, want := range []string{entry + ",", others, spec.Manifests[3].Digest.String()} {
		if !strings.Contains(string(index), want) {
			t.Errorf("the index is\n%s\nand lacks %s", index, want)
		}
	}
}

// put writes an index over HTTP.
func put(t *testing.T, place, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+place, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", string(types.OCIImageIndex))
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("PUT %s: %s", place, answer.Status)
	}
}
