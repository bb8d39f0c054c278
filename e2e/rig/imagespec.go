package rig

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

// ImageSpec is the push spec of an image of these layers.
func ImageSpec(t T, target string, destination pushspec.Destination, layers ...v1.Descriptor) *pushspec.Spec {
	t.Helper()
	var ids []v1.Hash
	for _, layer := range layers {
		ids = append(ids, layer.Digest)
	}
	config, err := json.Marshal(v1.ConfigFile{Author: target, Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers", DiffIDs: ids}})
	must(t, err)
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: Describe(types.OCIConfigJSON, config), Layers: layers,
	})
	must(t, err)
	root := Describe(types.OCIManifestSchema1, manifest)
	root.Data = manifest
	spec := &pushspec.Spec{
		SchemaVersion: pushspec.SchemaVersion, MediaType: pushspec.MediaType, Target: target, Destination: destination,
		Root: root.Digest, Manifests: []v1.Descriptor{root},
	}
	embedded := Describe(types.OCIConfigJSON, config)
	embedded.Data = config
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: embedded})
	for _, layer := range layers {
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: layer, Sources: []pushspec.Source{{CAS: layer.Digest.String()}}})
	}
	return spec
}

// AddReferrer adds an artifact of one file whose subject is the spec's root.
func AddReferrer(t T, spec *pushspec.Spec, artifactType string, file v1.Descriptor) {
	t.Helper()
	empty := Describe("application/vnd.oci.empty.v1+json", []byte("{}"))
	subject := spec.Manifests[0]
	subject.Data = nil
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: artifactType,
		Config: empty, Layers: []v1.Descriptor{file}, Subject: &subject,
	})
	must(t, err)
	referrer := Describe(types.OCIManifestSchema1, manifest)
	referrer.Data = manifest
	if !slices.ContainsFunc(spec.Blobs, func(b pushspec.Blob) bool { return b.Digest == empty.Digest }) {
		empty.Data = []byte("{}")
		spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: empty})
	}
	spec.Manifests = append(spec.Manifests, referrer)
	spec.Blobs = append(spec.Blobs, pushspec.Blob{Descriptor: file, Sources: []pushspec.Source{{CAS: file.Digest.String()}}})
}

// Describe is the descriptor of some bytes.
func Describe(mediaType types.MediaType, data []byte) v1.Descriptor {
	sum := sha256.Sum256(data)
	return v1.Descriptor{MediaType: mediaType, Size: int64(len(data)), Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}}
}
