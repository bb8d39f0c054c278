package haul_test

import (
	"errors"
	"net/http"
	"path"
	"sync/atomic"
	"testing"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

func TestWhatARegistryLostIsCopiedAnew(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	h := impatient(t, client, registry.Options{})
	layer := noise(1, 3000)
	first := image(t, server, fake.Host, "acme/app", []string{"v1"}, layer)
	if _, err := h.Haul(t.Context(), request(first)); err != nil {
		t.Fatal(err)
	}
	fake.Forget("acme/app", first.Blobs[0].Digest.String())
	second := image(t, server, fake.Host, "acme/app", []string{"v2"}, layer, noise(2, 10))
	if _, err := h.Haul(t.Context(), request(second)); err != nil {
		t.Fatal(err)
	}
	checkImage(t, fake.Host, "acme/app", "v2", second.Root)
}

func TestANewTagOfAKnownImageMovesNoBytes(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{MultiTag: true}), castest.Start(t)
	client := server.Dial(t, cas.Options{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 3000))
	known := impatient(t, client, registry.Options{})
	if _, err := known.Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		hauler *haul.Hauler
		tags   []string
		want   int
	}{
		{"known", known, []string{"v2"}, 2},
		{"known, many tags", known, []string{"v3", "v4", "v5"}, 4},
		{"found out", impatient(t, client, registry.Options{}), []string{"v6"}, 4},
		{"by digest", impatient(t, client, registry.Options{}), nil, 1},
	} {
		r := request(spec)
		r.Tags = c.tags
		result, err := c.hauler.Haul(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if result.Requests > c.want || result.Uploaded.Blobs > 0 {
			t.Errorf("%s: the result is %+v, want at most %d requests and no upload", c.name, result, c.want)
		}
		for _, tag := range c.tags {
			if data, _ := fake.Manifest("acme/app", tag); descriptor("", data).Digest != spec.Root {
				t.Errorf("%s: tag %s does not point to the image", c.name, tag)
			}
		}
	}
}

func TestAnImmutableTagThatIsRightIsNoError(t *testing.T) {
	server := castest.Start(t)
	fake := registrytest.Start(t, registrytest.Rules{ImmutableTags: true})
	client := server.Dial(t, cas.Options{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 3000))
	if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	// The lookup misses the tag, as one that is answered from a stale cache does.
	var missed atomic.Bool
	fake.SetRules(registrytest.Rules{ImmutableTags: true, Fault: func(r *http.Request) *registrytest.Fault {
		if r.Method == http.MethodHead && path.Base(r.URL.Path) == "v1" && missed.CompareAndSwap(false, true) {
			return &registrytest.Fault{Status: http.StatusNotFound}
		}
		return nil
	}})
	if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
		t.Errorf("the same image again: %v", err)
	}
	other := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(2, 3000))
	_, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(other))
	failed, ok := errors.AsType[*haul.Error](err)
	if !ok || failed.Class != haul.Rejected {
		t.Errorf("another image: got error %v, want class %s", err, haul.Rejected)
	}
}

func TestWhatWasLostUnderARightTagIsPushedAgain(t *testing.T) {
	for _, listed := range []bool{true, false} {
		server := castest.Start(t)
		fake := registrytest.Start(t, registrytest.Rules{Referrers: listed})
		client := server.Dial(t, cas.Options{})
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
		withReferrer(t, spec)
		if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
		lost := []string{spec.Blobs[0].Digest.String()}
		for _, m := range spec.Manifests {
			if m.Digest != spec.Root {
				lost = append(lost, m.Digest.String())
			}
		}
		for _, digest := range lost {
			fake.Forget("acme/app", digest)
		}
		if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
		checkSpec(t, fake, spec, listed)
	}
}

// A new tag is refused by a registry that has lost what the root refers to; this
// process remembers all of it.
func TestWhatIsRememberedGrantsNothing(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
	spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	withReferrer(t, spec)
	if _, err := h.Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	for _, m := range spec.Manifests {
		fake.Forget("acme/app", m.Digest.String())
	}
	fake.Forget("acme/app", spec.Blobs[0].Digest.String())
	fake.Forget("acme/app", fallbackOf(spec.Root))
	spec.Destination.Tags = []string{"v2"}
	if _, err := h.Haul(t.Context(), request(spec)); err != nil {
		t.Fatal(err)
	}
	checkSpec(t, fake, spec, false)
}
