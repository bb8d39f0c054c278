package haul_test

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

func TestATagWaitsUntilAllOfTheSpecIsThere(t *testing.T) {
	isPut := func(r *http.Request, reference string) bool {
		return r.Method == http.MethodPut && path.Base(r.URL.Path) == reference
	}
	for _, c := range []struct {
		name      string
		referrers bool
		// fails tells which requests fail in the first attempt.
		fails func(r *http.Request, root, sbom, signature string) bool
	}{
		{"the first referrer, listed by the registry", true, func(r *http.Request, _, sbom, _ string) bool { return isPut(r, sbom) }},
		{"the last referrer, listed by the registry", true, func(r *http.Request, _, _, signature string) bool { return isPut(r, signature) }},
		{"the first referrer", false, func(r *http.Request, _, sbom, _ string) bool { return isPut(r, sbom) }},
		{"the last referrer", false, func(r *http.Request, _, _, signature string) bool { return isPut(r, signature) }},
		{"the index of referrers", false, func(r *http.Request, root, _, _ string) bool {
			return isPut(r, strings.ReplaceAll(root, ":", "-"))
		}},
		{"a look at the index of referrers", false, func(r *http.Request, root, _, _ string) bool {
			return r.Method == http.MethodGet && path.Base(r.URL.Path) == strings.ReplaceAll(root, ":", "-")
		}},
		{"a blob of a referrer", false, func(r *http.Request, _, _, _ string) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") && r.ContentLength == int64(len("the file of a signature"))
		}},
	} {
		for _, same := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, same daemon %t", c.name, same), func(t *testing.T) {
				server := castest.Start(t)
				fake := registrytest.Start(t, registrytest.Rules{Referrers: c.referrers})
				client := server.Dial(t, cas.Options{})
				spec := image(t, server, fake.Host, "acme/app", []string{"v1", "v2"}, noise(1, 100))
				sbom, signature := refer(t, server, spec, "sbom"), refer(t, server, spec, "signature")
				fake.SetRules(registrytest.Rules{Referrers: c.referrers, Fault: func(r *http.Request) *registrytest.Fault {
					if c.fails(r, spec.Root.String(), sbom.String(), signature.String()) {
						return &registrytest.Fault{Status: http.StatusServiceUnavailable}
					}
					return nil
				}})
				h := impatient(t, client, registry.Options{})
				_, err := h.Haul(t.Context(), request(spec))
				wantClass(t, err, haul.Unavailable)
				for _, tag := range spec.Destination.Tags {
					if _, found := fake.Manifest("acme/app", tag); found {
						t.Errorf("tag %s is there before all of the image is", tag)
					}
				}
				fake.SetRules(registrytest.Rules{Referrers: c.referrers})
				if !same {
					h = impatient(t, client, registry.Options{})
				}
				if _, err := h.Haul(t.Context(), request(spec)); err != nil {
					t.Fatal(err)
				}
				checkSpec(t, fake, spec, c.referrers)
			})
		}
	}
}
