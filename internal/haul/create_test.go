package haul_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

func TestARepositoryThatDoesNotExistIsNamed(t *testing.T) {
	absent := func(*http.Request) *registrytest.Fault {
		return &registrytest.Fault{Status: http.StatusNotFound, Code: "NAME_UNKNOWN"}
	}
	fake, server := registrytest.Start(t, registrytest.Rules{Fault: absent}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 10))
	_, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec))
	failed := wantClass(t, err, haul.Rejected)
	if want := "; the repository acme/app does not exist in " + fake.Host + ": create acme/app there"; !strings.Contains(failed.Text, want) {
		t.Errorf("the text is %q, without %q", failed.Text, want)
	}

	// A base's repository is not the one to create.
	to := registrytest.Start(t, registrytest.Rules{})
	spec = image(t, server, to.Host, "acme/app", []string{"v1"}, noise(2, 10))
	spec.Blobs[0].Sources = []pushspec.Source{{Repository: fake.Host + "/library/ubuntu"}}
	_, err = impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec))
	if failed := wantClass(t, err, haul.Evicted); strings.Contains(failed.Text, "create") {
		t.Errorf("the text is %q", failed.Text)
	}
}

func TestARepositoryIsCreatedWhereThatIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		created bool
		err     error
		text    string
	}{
		"created":       {created: true},
		"not for these": {text: "create acme/app there"},
		"not allowed":   {err: errors.New("not authorized"), text: "and could not be created: not authorized"},
	} {
		t.Run(name, func(t *testing.T) {
			var exists atomic.Bool
			fake, server := registrytest.Start(t, registrytest.Rules{Fault: func(*http.Request) *registrytest.Fault {
				if !exists.Load() {
					return &registrytest.Fault{Status: http.StatusNotFound, Code: "NAME_UNKNOWN"}
				}
				return nil
			}}), castest.Start(t)
			registries := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
			t.Cleanup(registries.Close)
			calls := 0
			h, err := haul.New(haul.Options{CAS: server.Dial(t, cas.Options{}), Registries: registries, Grace: -1,
				Create: func(_ context.Context, host, repository string) (bool, error) {
					calls++
					if host != fake.Host || repository != "acme/app" {
						t.Errorf("created was %s in %s", repository, host)
					}
					exists.Store(c.created)
					return c.created, c.err
				}})
			if err != nil {
				t.Fatal(err)
			}
			spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 10))
			_, err = h.Haul(t.Context(), request(spec))
			if c.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				checkImage(t, fake.Host, "acme/app", "v1", spec.Root)
			} else if failed := wantClass(t, err, haul.Rejected); !strings.Contains(failed.Text, c.text) {
				t.Errorf("the text is %q, without %q", failed.Text, c.text)
			}
			if calls != 1 {
				t.Errorf("it was to be created %d times", calls)
			}
		})
	}
}
