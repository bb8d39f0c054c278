package image

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writeManifest writes the manifest of a config and its layers.
func writeManifest(config []byte, layers []jsontext.Value, annotations map[string]string) ([]byte, error) {
	var manifest object
	for _, m := range []struct {
		name  string
		value any
	}{
		{"schemaVersion", 2},
		{"mediaType", types.OCIManifestSchema1},
		{"layers", layers},
		{"annotations", annotations},
	} {
		if err := manifest.set(m.name, m.value); err != nil {
			return nil, err
		}
	}
	descriptor, err := marshal(Describe(types.OCIConfigJSON, config))
	if err != nil {
		return nil, err
	}
	manifest.put("config", descriptor)
	return manifestForm.write(manifest)
}

// baseLayers are the descriptors of the base's layers as an OCI manifest has them.
// Whatever else one says stays: annotations, urls, and what nobody here knows.
func baseLayers(manifest object) ([]jsontext.Value, error) {
	list, err := readList(manifest.get("layers"))
	if err != nil {
		return nil, fmt.Errorf("layers: %w", err)
	}
	for i := range list {
		descriptor, err := readObject(list[i])
		if err != nil {
			return nil, fmt.Errorf("layers[%d]: %w", i, err)
		}
		var mediaType types.MediaType
		if err := json.Unmarshal(descriptor.get("mediaType"), &mediaType); err != nil {
			return nil, fmt.Errorf("layers[%d]: it must have a media type", i)
		}
		if err := descriptor.set("mediaType", ociLayer(mediaType)); err != nil {
			return nil, err
		}
		descriptor.remove("data")
		if list[i], err = descriptorForm.write(descriptor); err != nil {
			return nil, fmt.Errorf("layers[%d]: %w", i, err)
		}
	}
	return list, nil
}

// ociLayers are the OCI media types of layers that a base has under docker's: the bytes
// are the same, and one manifest is to speak one dialect.
var ociLayers = map[types.MediaType]types.MediaType{
	types.DockerUncompressedLayer:                               types.OCIUncompressedLayer,
	types.DockerLayer:                                           types.OCILayer,
	"application/vnd.docker.image.rootfs.diff.tar.zstd":         types.OCILayerZStd,
	"application/vnd.docker.image.rootfs.foreign.diff.tar":      types.OCIUncompressedRestrictedLayer,
	types.DockerForeignLayer:                                    types.OCIRestrictedLayer,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd": "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
}

// ociLayer is the media type of a base's layer in an OCI manifest. One that is not
// docker's stays, whether it is known or not.
func ociLayer(t types.MediaType) types.MediaType {
	if oci := ociLayers[t]; oci != "" {
		return oci
	}
	return t
}
