package haul_test

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

func TestAnIndexOfReferrersThatOthersWriteAtTheSameTimeListsAll(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	refer(t, server, spec, "sbom")
	theirs := fake.PutManifest("acme/app", "theirs", string(types.OCIImageIndex), []byte(`{"schemaVersion":2,"manifests":[]}`))
	var reads atomic.Int32
	fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodGet && path.Base(r.URL.Path) == fallbackOf(spec.Root) {
			if n := reads.Add(1); n == 2 || n == 3 {
				// They had read it before we wrote, and write now.
				fake.PutManifest("acme/app", fallbackOf(spec.Root), string(types.OCIImageIndex),
					fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":34}]}`, types.OCIImageIndex, types.OCIImageIndex, theirs))
			}
		}
		return nil
	}})
	if _, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkSpec(t, fake, spec, false)
	if index, _ := fake.Manifest("acme/app", fallbackOf(spec.Root)); !strings.Contains(string(index), theirs) {
		t.Errorf("the index is %s, without theirs", index)
	}
}

func TestAnIndexOfReferrersThatNeverListsOursIsNoSuccess(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	refer(t, server, spec, "sbom")
	fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodGet && path.Base(r.URL.Path) == fallbackOf(spec.Root) {
			fake.PutManifest("acme/app", fallbackOf(spec.Root), string(types.OCIImageIndex), []byte(`{"schemaVersion":2,"mediaType":"`+types.OCIImageIndex+`","manifests":[]}`))
		}
		return nil
	}})
	_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
	wantClass(t, err, haul.Unavailable)
	if _, found := fake.Manifest("acme/app", "v1"); found {
		t.Error("the tag is there, and the referrer is not listed")
	}
}

func TestDaemonsThatShareALockLoseNoReferrer(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	client := server.Dial(t, cas.Options{})
	var daemons sync.Mutex
	lock := claims{referrers: func(v1.Hash) (haul.Claim, error) {
		daemons.Lock()
		return haul.Claim{Release: func(bool) { daemons.Unlock() }}, nil
	}}
	var hauls sync.WaitGroup
	var specs []*pushspec.Spec
	for i := range 20 {
		spec := image(t, server, fake.Host, "acme/app", []string{fmt.Sprintf("v%d", i)}, noise(1, 100))
		refer(t, server, spec, fmt.Sprintf("artifact %d", i))
		specs = append(specs, spec)
		h := impatient(t, client, registry.Options{})
		hauls.Go(func() {
			r := request(spec)
			r.Claims = lock
			if _, err := h.Haul(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	hauls.Wait()
	for _, spec := range specs {
		checkSpec(t, fake, spec, false)
	}
}
