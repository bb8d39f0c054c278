package image

import (
	"bytes"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/pushspec"
)

// PushSpec makes the push spec of an image: layers say of each of its layers
// where the bytes are.
func PushSpec(image Image, layers []layer.Metadata, target string, destination pushspec.Destination) (*pushspec.Spec, error) {
	manifest, err := v1.ParseManifest(bytes.NewReader(image.Manifest))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(image.Config))
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	root := Describe(manifest.MediaType, image.Manifest)
	root.Data = image.Manifest
	root.Platform = config.Platform()

	configBlob := bare(manifest.Config)
	configBlob.Data = image.Config
	spec := &pushspec.Spec{
		SchemaVersion: pushspec.SchemaVersion,
		MediaType:     pushspec.MediaType,
		Target:        target,
		Destination:   destination,
		Root:          root.Digest,
		Manifests:     []v1.Descriptor{root},
		Blobs:         []pushspec.Blob{{Descriptor: configBlob}},
	}
	known := make(map[v1.Hash]layer.Metadata, len(layers))
	for _, l := range layers {
		known[l.Digest] = l
	}
	seen := map[v1.Hash]bool{}
	for i, d := range manifest.Layers {
		l, there := known[d.Digest]
		if !there {
			return nil, fmt.Errorf("nothing says where layer %d of the manifest, %s, can be had", i, d.Digest)
		}
		if seen[d.Digest] {
			continue // an image may have a layer twice; its bytes are one blob
		}
		seen[d.Digest] = true
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: d, Sources: l.Sources})
	}
	return spec, nil
}
