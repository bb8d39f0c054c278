package haul_test

import (
	"testing"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// Whoever knows the digest of a layer that was pushed to a repository which is none of
// theirs does not get it, unless they have it anyway.
func TestWhatOthersPushedIsMountedByThoseWhoHaveItAnyway(t *testing.T) {
	for name, c := range map[string]struct {
		source  string // of the cache, or "" for the layer's own digest
		evicted bool
		may     bool
		mounted bool
		want    haul.Class
	}{
		"the cache has it":                       {mounted: true},
		"the cache has lost it":                  {evicted: true, want: haul.Evicted},
		"the cache has lost it, and it may":      {evicted: true, may: true, mounted: true},
		"the cache has something else for it":    {source: "another", want: haul.Malformed},
		"something else for it, and it may":      {source: "another", may: true, mounted: true},
		"the cache has lost what it is said for": {source: "lost", evicted: true, want: haul.Evicted},
	} {
		t.Run(name, func(t *testing.T) {
			for _, remembered := range []bool{true, false} {
				fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
				layer := noise(1, 3000)
				h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
				secret := image(t, server, fake.Host, "secret/app", []string{"v1"}, layer)
				if _, err := h.Haul(t.Context(), request(secret)); err != nil {
					t.Fatal(err)
				}
				if !remembered {
					h = impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
				}
				spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, layer, noise(2, 10))
				if c.source != "" {
					other := noise(7, 3000)
					server.Put(other)
					spec.Blobs[0].Sources = []pushspec.Source{{CAS: descriptor("", other).Digest.String()}}
					if c.source == "lost" {
						server.Evict(server.Put(other))
					}
				}
				if c.evicted {
					server.Evict(server.Put(layer))
				}
				r := request(spec)
				r.Claims = claims{blobs: func([]pushspec.Blob) (haul.Claim, error) {
					return haul.Claim{Elsewhere: map[string]string{spec.Blobs[0].Digest.String(): "secret/app"}}, nil
				}}
				r.MayMount = func(string) bool { return c.may }
				result, err := h.Haul(t.Context(), r)
				if c.want != "" {
					wantClass(t, err, c.want)
					if fake.HasBlob("acme/app", spec.Blobs[0].Digest.String()) {
						t.Error("the layer is there")
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := result.Mounted.Blobs > 0; got != c.mounted {
					t.Errorf("the result is %+v", result)
				}
			}
		})
	}
}
