package copies

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// FuzzReference: a reference that is read is written as it was.
func FuzzReference(f *testing.F) {
	for _, text := range []string{
		"ghcr.io/acme/app:v1", "localhost:5000/a/b", "ghcr.io/a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "[::1]:5000/a:b", "a/b:c@d",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParseReference(text); err == nil && p.String() != text {
			t.Errorf("%q is read as %q", text, p)
		}
	})
}

// FuzzManifest: whatever a registry gives for a manifest, it is read or refused.
func FuzzManifest(f *testing.F) {
	f.Add("application/vnd.oci.image.manifest.v1+json", []byte(`{"config":{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"layers":[{"size":1}]}`))
	f.Add("", []byte(`{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":"sha256:ab"},{"platform":{}}]}`))
	f.Add("application/vnd.docker.distribution.manifest.v1+prettyjws", []byte(`{"fsLayers":[{}]}`))
	f.Fuzz(func(t *testing.T, mediaType string, data []byte) {
		d := v1.Descriptor{MediaType: types.MediaType(mediaType), Data: data}
		if _, err := read(&d); err == nil && !d.MediaType.IsImage() && !d.MediaType.IsIndex() {
			t.Errorf("%q of the type %q is read", data, d.MediaType)
		}
		if listed, err := digests(d); err == nil {
			for _, digest := range listed {
				if digest.Hex == "" {
					t.Errorf("%q lists a digest that is none", data)
				}
			}
		}
	})
}
