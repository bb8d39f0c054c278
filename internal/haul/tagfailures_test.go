package haul_test

import (
	"errors"
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

func TestATagThatIsRefusedKeepsNoOtherFromBeingWritten(t *testing.T) {
	for name, rules := range map[string]registrytest.Rules{
		"one by one":   {ImmutableTags: true},
		"all at once":  {ImmutableTags: true, MultiTag: true},
		"by its query": {ImmutableTags: true, Fault: refuse(http.MethodPut, "tag=", http.StatusRequestURITooLong)},
	} {
		t.Run(name, func(t *testing.T) {
			server, fake := castest.Start(t), registrytest.Start(t, rules)
			client := server.Dial(t, cas.Options{})
			old := image(t, server, fake.Host, "acme/app", []string{"v1", "v3"}, noise(1, 100))
			if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(old)); err != nil {
				t.Fatal(err)
			}
			spec := image(t, server, fake.Host, "acme/app", []string{"v0", "v1", "v2", "v3", "v4"}, noise(2, 100))
			_, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec))
			failed, ok := errors.AsType[*haul.Error](err)
			if !ok || failed.Class != haul.Rejected {
				t.Fatalf("got error %v, want class %s", err, haul.Rejected)
			}
			for _, want := range []string{"tag v1: ", "tag v3: ", "immutable", "the other tags (3) point to the image"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q does not say %q", err, want)
				}
			}
			for tag, want := range map[string]string{"v0": spec.Root.String(), "v1": old.Root.String(), "v2": spec.Root.String(), "v3": old.Root.String(), "v4": spec.Root.String()} {
				if data, _ := fake.Manifest("acme/app", tag); descriptor("", data).Digest.String() != want {
					t.Errorf("tag %s does not point to %s", tag, want)
				}
			}
		})
	}
}

func TestARegistryThatIsDownIsNotAskedForEveryTag(t *testing.T) {
	server := castest.Start(t)
	fake := registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut && path.Base(r.URL.Path) == "v1" {
			return &registrytest.Fault{Status: http.StatusBadGateway}
		}
		return nil
	}})
	spec := image(t, server, fake.Host, "acme/app", []string{"v0", "v1", "v2"}, noise(1, 100))
	_, err := impatient(t, server.Dial(t, cas.Options{}), registry.Options{}).Haul(t.Context(), request(spec))
	failed, ok := errors.AsType[*haul.Error](err)
	if !ok || failed.Class != haul.Unavailable {
		t.Errorf("got error %v, want class %s", err, haul.Unavailable)
	}
	if _, found := fake.Manifest("acme/app", "v2"); found {
		t.Error("the tag after it was written")
	}
}

// refuse answers requests of a method to a part of the API with a status.
func refuse(method, part string, status int) func(*http.Request) *registrytest.Fault {
	return func(r *http.Request) *registrytest.Fault {
		if r.Method == method && strings.Contains(r.URL.String(), part) {
			return &registrytest.Fault{Status: status}
		}
		return nil
	}
}
