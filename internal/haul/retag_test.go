package haul_test

import (
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// staged is an image in a registry, none of whose tags is written.
func staged(t *testing.T, rules registrytest.Rules, tags ...string) (*registrytest.Registry, *haul.Hauler, *pushspec.Spec, *castest.Server) {
	t.Helper()
	fake, server := registrytest.Start(t, rules), castest.Start(t)
	h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
	spec := image(t, server, fake.Host, "acme/app", tags, noise(1, 1000))
	if _, err := h.Haul(t.Context(), staging(spec)); err != nil {
		t.Fatal(err)
	}
	return fake, h, spec, server
}

func TestTagsMoveWithOrWithoutTheManifestAtHand(t *testing.T) {
	for _, many := range []bool{true, false} {
		for _, atHand := range []bool{true, false} {
			fake, h, spec, _ := staged(t, registrytest.Rules{MultiTag: many}, "v1", "v2")
			moving := retag(spec)
			if !atHand {
				moving.Root = withoutData(moving.Root)
			}
			result, err := h.Retag(t.Context(), moving)
			if err != nil {
				t.Fatal(err)
			}
			if result.AlreadyThere || !slices.Equal(result.Right, []string{"v1", "v2"}) {
				t.Errorf("the result is %+v", result)
			}
			checkSpec(t, fake, spec, false)
			if result, err = h.Retag(t.Context(), moving); err != nil || !result.AlreadyThere || result.Requests != 2 || !slices.Equal(result.Right, []string{"v1", "v2"}) {
				t.Errorf("tags that are right: the result is %+v, error %v", result, err)
			}
		}
	}
}

func TestATagThatSomebodyMovesWhileAnImageIsStagedIsThePreviousOne(t *testing.T) {
	fake, h, spec, server := staged(t, registrytest.Rules{}, "latest")
	other := image(t, server, fake.Host, "acme/app", []string{"latest"}, noise(2, 1000))
	if _, err := h.Haul(t.Context(), request(other)); err != nil {
		t.Fatal(err)
	}
	result, err := h.Retag(t.Context(), retag(spec))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]haul.Tag{{Name: "latest", Previous: other.Root.String()}}, result.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	checkImage(t, fake.Host, "acme/app", "latest", spec.Root)
}

// A run that is killed between the first tag and the last has written some of them. What
// they pointed to before is known to whoever granted the claim.
func TestARunThatIsRepeatedTellsWhatTagsPointedToBeforeTheFirst(t *testing.T) {
	fake, h, spec, server := staged(t, registrytest.Rules{}, "v1", "v2")
	old := image(t, server, fake.Host, "acme/app", []string{"v1", "v2"}, noise(2, 1000))
	if _, err := h.Haul(t.Context(), request(old)); err != nil {
		t.Fatal(err)
	}
	fake.PutManifest("acme/app", "v1", string(spec.Manifests[0].MediaType), spec.Manifests[0].Data) // the first run
	moving := retag(spec)
	moving.Claims = remembering(map[string]string{"v1": old.Root.String()})
	result, err := h.Retag(t.Context(), moving)
	if err != nil {
		t.Fatal(err)
	}
	want := []haul.Tag{{Name: "v1", Previous: old.Root.String()}, {Name: "v2", Previous: old.Root.String()}}
	if diff := cmp.Diff(want, result.Tags); diff != "" || result.AlreadyThere {
		t.Errorf("it was there: %t; tags (-want +got):\n%s", result.AlreadyThere, diff)
	}
	checkSpec(t, fake, spec, false)
	// The last run but for its row.
	moving.Claims = remembering(map[string]string{"v1": old.Root.String(), "v2": old.Root.String()})
	if result, err = h.Retag(t.Context(), moving); err != nil || result.AlreadyThere || result.Tags[1].Previous != old.Root.String() {
		t.Errorf("the result is %+v, error %v", result, err)
	}
}

// remembering are claims that know what tags pointed to.
func remembering(previous map[string]string) haul.Claims {
	return claims{tags: func(tags []string) (haul.Claim, error) { return haul.Claim{Tags: tags, Previous: previous}, nil }}
}

func TestOfThreeTagsOneIsRefusedAndMovesLater(t *testing.T) {
	fake, h, spec, _ := staged(t, registrytest.Rules{}, "v1", "v2", "v3")
	fake.SetRules(registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodPut && path.Base(r.URL.Path) == "v2" {
			return &registrytest.Fault{Status: http.StatusForbidden}
		}
		return nil
	}})
	result, err := h.Retag(t.Context(), retag(spec))
	failed := wantClass(t, err, haul.Denied)
	if !strings.Contains(failed.Text, "tag v2: ") || !strings.Contains(failed.Text, "the other tags (2) point to the image") {
		t.Errorf("the text is %q", failed.Text)
	}
	if !slices.Equal(result.Right, []string{"v1", "v3"}) {
		t.Errorf("right are %q", result.Right)
	}
	fake.SetRules(registrytest.Rules{})
	if result, err = h.Retag(t.Context(), retag(spec)); err != nil || !slices.Equal(result.Right, []string{"v1", "v3", "v2"}) {
		t.Errorf("right are %q, error %v", result.Right, err)
	}
	checkSpec(t, fake, spec, false)
}

func TestARegistryThatLostAStagedImageIsFoundOut(t *testing.T) {
	for name, lose := range map[string]func(*registrytest.Registry, *pushspec.Spec, *haul.Retag){
		"a blob": func(fake *registrytest.Registry, spec *pushspec.Spec, _ *haul.Retag) {
			fake.Forget("acme/app", spec.Blobs[0].Digest.String())
			fake.Forget("acme/app", spec.Root.String())
		},
		"the manifest, which is not at hand": func(fake *registrytest.Registry, spec *pushspec.Spec, moving *haul.Retag) {
			moving.Root = withoutData(moving.Root)
			fake.Forget("acme/app", spec.Root.String())
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake, h, spec, _ := staged(t, registrytest.Rules{}, "v1")
			moving := retag(spec)
			lose(fake, spec, &moving)
			_, err := h.Retag(t.Context(), moving)
			if wantClass(t, err, haul.Unavailable); !errors.Is(err, haul.ErrGone) {
				t.Fatalf("error is %v, want one that says that the image is gone", err)
			}
			// It is hauled once more, and nothing is taken for granted.
			if _, err := h.Haul(t.Context(), request(spec)); err != nil {
				t.Fatal(err)
			}
			checkSpec(t, fake, spec, false)
		})
	}
}

func TestATagIsReadBackAfterItWasWritten(t *testing.T) {
	server := castest.Start(t)
	var other *pushspec.Spec
	var fake *registrytest.Registry
	late := false
	fake = registrytest.Start(t, registrytest.Rules{Fault: func(r *http.Request) *registrytest.Fault {
		if _, written := fake.Manifest("acme/app", "v1"); late && written && r.Method == http.MethodHead && path.Base(r.URL.Path) == "v1" {
			fake.PutManifest("acme/app", "v1", string(other.Manifests[0].MediaType), other.Manifests[0].Data)
		}
		return nil
	}})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1", "v2"}, noise(1, 1000))
	other = image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(2, 1000))
	h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
	r := request(spec)
	if _, err := h.Haul(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r.Tags, r.ReadBack = []string{"v3", "v4"}, []string{"v3"}
	if read, err := h.Haul(t.Context(), r); err != nil || read.Requests != 5 {
		t.Errorf("%d requests for two tags of which one is read back, error %v", read.Requests, err)
	}

	late = true
	spec = image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(3, 1000))
	fake.Forget("acme/app", "v1")
	r = request(spec)
	r.ReadBack = []string{"v1"}
	_, err := h.Haul(t.Context(), r)
	failed := wantClass(t, err, haul.Unavailable)
	for _, want := range []string{"tag v1", spec.Root.String(), other.Root.String()} {
		if !strings.Contains(failed.Text, want) {
			t.Errorf("the text is %q, without %q", failed.Text, want)
		}
	}
}
