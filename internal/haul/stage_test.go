package haul_test

import (
	"fmt"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// staging is a request that leaves the tags alone.
func staging(spec *pushspec.Spec) haul.Request {
	r := request(spec)
	r.Stage = true
	return r
}

// retag moves a spec's tags to its image.
func retag(spec *pushspec.Spec) haul.Retag {
	root := spec.Manifests[len(spec.Manifests)-1]
	for _, m := range spec.Manifests {
		if m.Digest == spec.Root {
			root = m
		}
	}
	return haul.Retag{
		Registry: spec.Destination.Registry, Repository: spec.Destination.Repository, Root: root,
		Tags: spec.Destination.Tags, Invocation: "test",
	}
}

// pointsTo is what a tag points to, or "".
func pointsTo(fake *registrytest.Registry, tag string) string {
	data, found := fake.Manifest("acme/app", tag)
	if !found {
		return ""
	}
	return descriptor("", data).Digest.String()
}

func TestAStagedImageIsThereByItsDigestAlone(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	spec := image(t, server, fake.Host, "acme/app", []string{"v1", "latest"}, noise(1, 1000))
	refer(t, server, spec, "sbom")
	r := staging(spec)
	r.Claims = claims{tags: func([]string) (haul.Claim, error) {
		t.Error("tags are claimed that nobody writes")
		return haul.Claim{}, nil
	}}
	h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
	result, err := h.Haul(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Tags) > 0 || len(result.Right) > 0 || pointsTo(fake, "v1")+pointsTo(fake, "latest") != "" {
		t.Errorf("the result is %+v, and v1 points to %q", result, pointsTo(fake, "v1"))
	}
	if pointsTo(fake, spec.Root.String()) == "" {
		t.Fatal("the image is not there")
	}
	if _, err := h.Retag(t.Context(), retag(spec)); err != nil {
		t.Fatal(err)
	}
	checkSpec(t, fake, spec, false)
}

// What a gated push costs beside one whose tags move at once.
func TestAGateTakesAtMostOneRequest(t *testing.T) {
	tags := []string{"v1", "v2", "v3"}
	for _, known := range []bool{true, false} { // to the process, from before
		for _, many := range []bool{true, false} {
			for _, there := range []string{"nothing", "a layer", "the image", "the image and its tags"} {
				name := fmt.Sprintf("%s is there, known=%t, tags at once=%t", there, known, many)
				count := func(gated bool) int {
					fake, server := registrytest.Start(t, registrytest.Rules{MultiTag: many}), castest.Start(t)
					client := server.Dial(t, cas.Options{})
					h := impatient(t, client, registry.Options{})
					// What is learned of a registry is learned by then.
					if _, err := h.Haul(t.Context(), request(image(t, server, fake.Host, "acme/other", []string{"a", "b"}, noise(9, 10)))); err != nil {
						t.Fatal(err)
					}
					shared := noise(1, 3000)
					spec := image(t, server, fake.Host, "acme/app", tags, shared, noise(2, 3000))
					before := request(spec)
					switch there {
					case "a layer":
						before = request(image(t, server, fake.Host, "acme/app", []string{"old"}, shared))
					case "the image":
						before.Tags = nil
					}
					by := h
					if !known {
						by = impatient(t, client, registry.Options{})
					}
					if there != "nothing" {
						if _, err := by.Haul(t.Context(), before); err != nil {
							t.Fatal(err)
						}
					}
					sent := fake.Total()
					if !gated {
						if _, err := h.Haul(t.Context(), request(spec)); err != nil {
							t.Fatal(err)
						}
						return fake.Total() - sent
					}
					r := staging(spec)
					r.Known = there == "the image" || there == "the image and its tags"
					staged, err := h.Haul(t.Context(), r)
					if err != nil {
						t.Fatal(err)
					}
					moved, err := h.Retag(t.Context(), retag(spec))
					if err != nil {
						t.Fatal(err)
					}
					checkSpec(t, fake, spec, false)
					if told := staged.Requests + moved.Requests; told != fake.Total()-sent {
						t.Errorf("%s: %d requests are told of %d", name, told, fake.Total()-sent)
					}
					return fake.Total() - sent
				}
				plain, gated := count(false), count(true)
				t.Logf("%s: %d requests, gated %d", name, plain, gated)
				if gated > plain+1 {
					t.Errorf("%s: %d requests, and %d without a gate", name, gated, plain)
				}
			}
		}
	}
}

func TestATagThatIsKeptIsRefusedBeforeABlobOfAStagedImageIsSent(t *testing.T) {
	fake, server := registrytest.Start(t, registrytest.Rules{}), castest.Start(t)
	h := impatient(t, server.Dial(t, cas.Options{}), registry.Options{})
	first := image(t, server, fake.Host, "acme/app", []string{"v1", "latest"}, noise(1, 1000))
	if _, err := h.Haul(t.Context(), request(first)); err != nil {
		t.Fatal(err)
	}
	sent := fake.Total()
	second := image(t, server, fake.Host, "acme/app", []string{"v1", "latest"}, noise(2, 1000))
	r := keeping(second)
	r.Stage = true
	_, err := h.Haul(t.Context(), r)
	wantClass(t, err, haul.Taken)
	if asked := fake.Total() - sent; asked != 1 {
		t.Errorf("%d requests were made, want one for the tag that is kept", asked)
	}
	// And again when the tags move.
	moving := retag(second)
	moving.KeepTags = []string{"v1"}
	_, err = h.Retag(t.Context(), moving)
	wantClass(t, err, haul.Taken)
	if pointsTo(fake, "latest") != first.Root.String() {
		t.Error("another tag was written")
	}
}

// withoutData is a manifest's descriptor without its bytes.
func withoutData(d v1.Descriptor) v1.Descriptor {
	return v1.Descriptor{Digest: d.Digest}
}
