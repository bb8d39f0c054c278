package dispatch_test

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

// layered is a world whose spec has a layer in the cache.
func layered(t *testing.T) (w *world, layer string) {
	t.Helper()
	return layeredOf(t, types.OCILayer, func(digest string) pushspec.Source { return pushspec.Source{CAS: digest} })
}

func layeredOf(t *testing.T, mediaType types.MediaType, source func(digest string) pushspec.Source) (w *world, layer string) {
	t.Helper()
	w, _ = newWorld(t, "latest")
	config, blob := describe(types.OCIConfigJSON, "{}"), describe(mediaType, "layer")
	blob.Data = nil
	layer = blob.Digest.String()
	manifest := describe(types.OCIManifestSchema1, `{"schemaVersion":2,"mediaType":"`+string(types.OCIManifestSchema1)+
		`","config":{"mediaType":"`+string(types.OCIConfigJSON)+`","size":2,"digest":"`+config.Digest.String()+
		`"},"layers":[{"mediaType":"`+string(mediaType)+`","size":5,"digest":"`+layer+`"}]}`)
	data, err := (&pushspec.Spec{
		SchemaVersion: 1, MediaType: pushspec.MediaType, Target: "@@//app:push",
		Destination: pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app", Tags: []string{"latest"}},
		Root:        manifest.Digest,
		Manifests:   []v1.Descriptor{manifest},
		Blobs:       []pushspec.Blob{{Descriptor: config}, {Descriptor: blob, Sources: []pushspec.Source{source(layer)}}},
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.spec = data
	return w, layer
}
