// Package image assembles OCI image manifests and configs from descriptors. It
// reads and writes metadata only: a few kilobytes, however large the image is.
package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/layer"
)

// Spec says what an image is made of.
type Spec struct {
	// Base is the image below, or nil.
	Base *Base
	// Layers are the layers on top of the base, the lowest first.
	Layers []layer.Metadata
	// Platform is the image's, as "os/architecture[/variant]". A base's own
	// platform wins.
	Platform string

	// What follows is the OCI config's; what is not set is the base's.

	// Fragment is a part of a config in its JSON, for what has no field below, which
	// win: {"config": {"Healthcheck": …}}. May be nil.
	Fragment []byte
	// Entrypoint replaces the base's, and its command with it.
	Entrypoint []string
	// Cmd replaces the base's.
	Cmd []string
	// Env holds "NAME=value"; a name that the base sets too gets the new value in
	// the old place. In a value ${NAME} stands for what the base has.
	Env []string
	// Labels are added to the base's.
	Labels map[string]string
	// Annotations are the manifest's own.
	Annotations map[string]string
	User        string
	WorkingDir  string
	StopSignal  string
	// ExposedPorts are added to the base's: "8080" or "8080/tcp".
	ExposedPorts []string
	// Volumes are added to the base's.
	Volumes []string
	// Created is the time that the image bears. Defaults to the epoch: the same
	// in every build of the same sources.
	Created time.Time
}

// Base is the metadata of an image to build upon.
type Base struct {
	Manifest []byte
	Config   []byte
}

// Image is what was assembled: the exact bytes to be pushed.
type Image struct {
	Manifest []byte
	Config   []byte
}

// createdBy is what the history says of a layer.
const createdBy = "drayage"

// Assemble makes the image. The same spec gives the same bytes.
func Assemble(spec Spec) (Image, error) {
	config, layers, err := begin(spec)
	if err != nil {
		return Image{}, err
	}
	created := v1.Time{Time: time.Unix(0, 0).UTC()}
	if !spec.Created.IsZero() {
		created.Time = spec.Created.UTC()
	}
	for _, l := range spec.Layers {
		layers = append(layers, bare(l.Descriptor))
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.DiffID)
		config.History = append(config.History, v1.History{Created: created, CreatedBy: createdBy})
	}
	config.Created = created
	if err := merge(config, spec.Fragment); err != nil {
		return Image{}, err
	}
	if err := configure(&config.Config, spec); err != nil {
		return Image{}, err
	}

	var image Image
	if image.Config, err = marshal(config); err != nil {
		return Image{}, fmt.Errorf("write config: %w", err)
	}
	image.Manifest, err = marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        Describe(types.OCIConfigJSON, image.Config),
		Layers:        layers,
		Annotations:   orNil(spec.Annotations),
	})
	if err != nil {
		return Image{}, fmt.Errorf("write manifest: %w", err)
	}
	return image, nil
}

// begin is the config and the layers of the base, or those of an empty image.
func begin(spec Spec) (*v1.ConfigFile, []v1.Descriptor, error) {
	if spec.Base == nil {
		platform, err := v1.ParsePlatform(spec.Platform)
		if err != nil || platform.OS == "" || platform.Architecture == "" {
			return nil, nil, fmt.Errorf("platform %q is not of the form os/architecture", spec.Platform)
		}
		return &v1.ConfigFile{
			OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
			RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}},
		}, []v1.Descriptor{}, nil
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(spec.Base.Manifest))
	if err != nil {
		return nil, nil, fmt.Errorf("read manifest of the base: %w", err)
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(spec.Base.Config))
	if err != nil {
		return nil, nil, fmt.Errorf("read config of the base: %w", err)
	}
	if got := Describe("", spec.Base.Config).Digest; got != manifest.Config.Digest {
		return nil, nil, fmt.Errorf("the base's config is %s, and its manifest names %s: they are of two images", got, manifest.Config.Digest)
	}
	if len(manifest.Layers) != len(config.RootFS.DiffIDs) {
		return nil, nil, fmt.Errorf("the base's manifest has %d layers and its config %d diff ids", len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	layers := make([]v1.Descriptor, len(manifest.Layers))
	for i, d := range manifest.Layers {
		d.MediaType = ociLayer(d.MediaType)
		layers[i] = bare(d)
	}
	return config, layers, nil
}

// ociLayer is the OCI media type of a layer that a base has under docker's: the
// bytes are the same, and one manifest is to speak one dialect.
func ociLayer(t types.MediaType) types.MediaType {
	switch t {
	case types.DockerLayer:
		return types.OCILayer
	case types.DockerUncompressedLayer:
		return types.OCIUncompressedLayer
	case types.DockerForeignLayer:
		return types.OCIRestrictedLayer
	}
	return t
}

// Describe is the descriptor of data, without the data.
func Describe(mediaType types.MediaType, data []byte) v1.Descriptor {
	sum := sha256.Sum256(data)
	return v1.Descriptor{
		MediaType: mediaType,
		Size:      int64(len(data)),
		Digest:    v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])},
	}
}

// bare is a descriptor as manifests carry it.
func bare(d v1.Descriptor) v1.Descriptor {
	d.Data = nil
	return d
}

// marshal writes JSON with nothing escaped that need not be, so that a label
// with an ampersand reads as it was written.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
