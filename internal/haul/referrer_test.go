package haul_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/cas/castest"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
	"github.com/drayage/drayage/pushspec"
)

// refer adds an artifact to a spec whose subject is the spec's root. Its file is put
// into the cache.
func refer(t testing.TB, server *castest.Server, spec *pushspec.Spec, artifactType string) v1.Hash {
	t.Helper()
	file, empty := []byte("the file of a "+artifactType), []byte("{}")
	server.Put(file)
	layer, config := descriptor("text/plain", file), descriptor("application/vnd.oci.empty.v1+json", empty)
	var root v1.Descriptor
	for _, m := range spec.Manifests {
		if m.Digest == spec.Root {
			root = m
			root.Data = nil
		}
	}
	data, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "artifactType": artifactType,
		"config": config, "layers": []v1.Descriptor{layer}, "subject": root,
	}, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	manifest := descriptor(types.OCIManifestSchema1, data)
	manifest.Data = data
	spec.Manifests = append(spec.Manifests, manifest)
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: layer, Sources: []pushspec.Source{{CAS: layer.Digest.String()}}})
	have := false
	for _, blob := range spec.Blobs {
		have = have || blob.Digest == config.Digest
	}
	if !have {
		config.Data = empty
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: config})
	}
	if err := spec.Validate(); err != nil {
		t.Fatalf("the test's spec is wrong: %v", err)
	}
	return manifest.Digest
}

func fallbackOf(digest v1.Hash) string { return strings.ReplaceAll(digest.String(), ":", "-") }

func TestAReferrerOfAnImageThatIsThereIsPushed(t *testing.T) {
	for _, listed := range []bool{true, false} {
		for _, same := range []bool{true, false} {
			t.Run(fmt.Sprintf("registry lists referrers %t, same daemon %t", listed, same), func(t *testing.T) {
				server := castest.Start(t)
				fake := registrytest.Start(t, registrytest.Rules{Referrers: listed})
				client := server.Dial(t, cas.Options{})
				h := impatient(t, client, registry.Options{})
				for i, artifact := range []string{"", "sbom", "signature"} {
					// The image is always the same; what comes with it grows.
					spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
					for _, earlier := range []string{"sbom", "signature"}[:i] {
						refer(t, server, spec, earlier)
					}
					if !same {
						h = impatient(t, client, registry.Options{})
					}
					result, err := h.Haul(t.Context(), request(spec))
					if err != nil {
						t.Fatal(err)
					}
					if result.AlreadyThere {
						t.Errorf("with %q: the result is %+v, as if nothing were new", artifact, result)
					}
					checkSpec(t, fake, spec, listed)
					again, err := h.Haul(t.Context(), request(spec))
					if err != nil {
						t.Fatal(err)
					}
					if !again.AlreadyThere || again.Requests != 1 {
						t.Errorf("with %q, a second time: the result is %+v, want nothing new in one request", artifact, again)
					}
				}
			})
		}
	}
}

// What another process has pushed is looked up once.
func TestWhatAnImageComesWithIsLookedUpOnce(t *testing.T) {
	for _, c := range []struct {
		listed bool
		want   int
	}{
		{true, 2},  // the tag, and the list of referrers
		{false, 5}, // the tag, the list that there is not, two referrers, and their index
	} {
		server := castest.Start(t)
		fake := registrytest.Start(t, registrytest.Rules{Referrers: c.listed})
		client := server.Dial(t, cas.Options{})
		spec := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
		refer(t, server, spec, "sbom")
		refer(t, server, spec, "signature")
		if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(spec)); err != nil {
			t.Fatal(err)
		}
		h := impatient(t, client, registry.Options{})
		for try, want := range []int{c.want, 1} {
			result, err := h.Haul(t.Context(), request(spec))
			if err != nil {
				t.Fatal(err)
			}
			if !result.AlreadyThere || result.Requests != want {
				t.Errorf("registry lists referrers %t, time %d: the result is %+v, want %d requests", c.listed, try, result, want)
			}
		}
	}
}

// The root itself may be about another image.
func TestARootWithASubjectIsListed(t *testing.T) {
	server, fake := castest.Start(t), registrytest.Start(t, registrytest.Rules{})
	client := server.Dial(t, cas.Options{})
	about := image(t, server, fake.Host, "acme/app", []string{"v1"}, noise(1, 100))
	signature := refer(t, server, about, "signature")
	alone := &pushspec.Spec{
		SchemaVersion: about.SchemaVersion, MediaType: about.MediaType, Target: about.Target, Root: signature,
		Destination: pushspec.Destination{Registry: fake.Host, Repository: "acme/app", Tags: []string{"signature"}},
		Manifests:   about.Manifests[1:], Blobs: about.Blobs[2:],
	}
	if err := alone.Validate(); err != nil {
		t.Fatal(err)
	}
	if _, err := impatient(t, client, registry.Options{}).Haul(t.Context(), request(alone)); err != nil {
		t.Fatal(err)
	}
	if index, _ := fake.Manifest("acme/app", fallbackOf(about.Root)); !strings.Contains(string(index), signature.String()) {
		t.Errorf("the index of referrers is %s", index)
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
