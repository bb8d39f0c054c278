package haul_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

func TestWhatAnotherRepositoryRefusesIsNobodyElses(t *testing.T) {
	const bad = 15
	layer := noise(1, 5<<20)
	digest := descriptor("", layer).Digest.String()
	// The layer is too large for its upload to begin with a mount.
	begins := func(r *http.Request) bool {
		mount := r.URL.Query().Get("mount")
		return r.Method == http.MethodPost && (mount == "" || mount == digest)
	}
	ends := func(r *http.Request) bool {
		return r.Method == http.MethodPut && r.ContentLength == int64(len(layer)) || r.URL.Query().Get("mount") == digest
	}
	for _, c := range []struct {
		name  string
		fault registrytest.Fault
		when  func(r *http.Request) bool
		want  haul.Class
	}{
		{"forbidden", registrytest.Fault{Status: http.StatusForbidden}, begins, haul.Denied},
		{"no such repository", registrytest.Fault{Status: http.StatusNotFound, Code: "NAME_UNKNOWN"}, begins, haul.Rejected},
		{"in trouble", registrytest.Fault{Status: http.StatusInternalServerError}, begins, haul.Unavailable},
		{"full", registrytest.Fault{Status: http.StatusForbidden, Code: "QUOTA"}, ends, haul.Denied},
		{"cut", registrytest.Fault{}, begins, haul.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := castest.Start(t)
			fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
				if strings.Contains(r.URL.Path, "/v2/bad/") && c.when(r) {
					return &c.fault
				}
				return nil
			}})
			var specs []*pushspec.Spec
			for i := range bad {
				specs = append(specs, image(t, server, fake.Host, fmt.Sprintf("bad/app-%d", i), []string{"v1"}, layer, noise(uint64(50+i), 10)))
			}
			specs = append(specs, image(t, server, fake.Host, "good/app", []string{"v1"}, layer))
			_, errs := haulAll(t.Context(), impatient(t, server.Dial(t, cas.Options{}), registry.Options{}), specs)
			if errs[bad] != nil {
				t.Errorf("the good one: %v", errs[bad])
			} else {
				checkImage(t, fake.Host, "good/app", "v1", specs[bad].Root)
			}
			for i := range bad {
				if failed := wantClass(t, errs[i], c.want); !strings.Contains(failed.Text, specs[i].Destination.Repository+" ") && !strings.Contains(failed.Text, specs[i].Destination.Repository+":") {
					t.Errorf("the text for %s is %q", specs[i].Destination.Repository, failed.Text)
				}
			}
			if got := fake.Received()[specs[0].Blobs[0].Digest.String()]; got != int64(len(layer)) {
				t.Errorf("%d bytes of the layer arrived, want %d", got, len(layer))
			}
		})
	}
}

// What the cache has lost is where it was pushed before.
func TestWhatAnotherHaulMissesMayBeThereForThisOne(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	layer := noise(1, 100_000)
	have := image(t, server, fake.Host, "acme/have", []string{"v1"}, layer)
	client := server.Dial(t, cas.Options{})
	if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(have)); err != nil {
		t.Fatal(err)
	}
	server.Evict(server.Put(layer))
	specs := []*pushspec.Spec{}
	for i := range 9 {
		lacks := image(t, server, fake.Host, fmt.Sprintf("acme/lack-%d", i), []string{"v1"}, layer, noise(uint64(20+i), 10))
		specs = append(specs, lacks)
	}
	more := image(t, server, fake.Host, "acme/have", []string{"v2"}, layer, noise(2, 10))
	server.Evict(server.Put(layer))
	// Without mounts nobody else gets at it.
	fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if from := r.URL.Query().Get("from"); from == "acme/have" && !strings.HasPrefix(r.URL.Path, "/v2/acme/have/") {
			return &registrytest.Fault{Status: http.StatusForbidden}
		}
		return nil
	}})
	h := impatient(t, client, registry.Options{})
	_, errs := haulAll(t.Context(), h, append(specs, more))
	if errs[9] != nil {
		t.Errorf("the one whose repository has the layer: %v", errs[9])
	}
	for _, err := range errs[:9] {
		failed, ok := errors.AsType[*haul.Error](err)
		if !ok || !failed.Class.Final() {
			t.Errorf("got error %v, want a final one", err)
		}
	}
}
