package image

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/layer"
)

// draft is an image that is being assembled.
type draft struct {
	// config is the config file.
	config object
	// layers are the descriptors of the manifest.
	layers []jsontext.Value
}

// begin is the base, or an empty image.
func begin(spec Spec) (*draft, error) {
	if spec.Base == nil {
		return empty(spec.Platform)
	}
	manifest, err := readDocument(spec.Base.Manifest, manifestForm)
	if err != nil {
		return nil, fmt.Errorf("read manifest of the base: %w", err)
	}
	parsed, err := v1.ParseManifest(bytes.NewReader(spec.Base.Manifest))
	if err != nil {
		return nil, fmt.Errorf("read manifest of the base: %w", err)
	}
	config, err := readDocument(spec.Base.Config, configForm)
	if err != nil {
		return nil, fmt.Errorf("read config of the base: %w", err)
	}
	parsedConfig, err := v1.ParseConfigFile(bytes.NewReader(spec.Base.Config))
	if err != nil {
		return nil, fmt.Errorf("read config of the base: %w", err)
	}
	if got := Describe("", spec.Base.Config).Digest; got != parsed.Config.Digest {
		return nil, fmt.Errorf("the base's config is %s, but its manifest names %s: take both from one image", got, parsed.Config.Digest)
	}
	if len(parsed.Layers) != len(parsedConfig.RootFS.DiffIDs) {
		return nil, fmt.Errorf("the base's manifest has %d layers, but its config has %d diff IDs", len(parsed.Layers), len(parsedConfig.RootFS.DiffIDs))
	}
	d := &draft{config: config}
	if err := d.fillPlatform(spec.Base); err != nil {
		return nil, err
	}
	if d.layers, err = baseLayers(manifest); err != nil {
		return nil, fmt.Errorf("read manifest of the base: %w", err)
	}
	if err := d.squareHistory(len(d.layers)); err != nil {
		return nil, fmt.Errorf("read config of the base: %w", err)
	}
	return d, nil
}

// empty is an image without layers.
func empty(name string) (*draft, error) {
	platform, err := v1.ParsePlatform(name)
	if err != nil || platform.OS == "" || platform.Architecture == "" {
		return nil, fmt.Errorf("platform %q must be os/architecture", name)
	}
	d := &draft{}
	return d, errors.Join(
		d.config.set("architecture", platform.Architecture),
		d.config.set("os", platform.OS),
		d.config.set("variant", platform.Variant),
		d.config.set("rootfs", v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}}),
	)
}

// add puts layers on top, each with its line of history.
func (d *draft) add(layers []layer.Metadata, created jsontext.Value) error {
	rootfs, err := d.config.object("rootfs")
	if err != nil {
		return err
	}
	if kind := rootfs.get("type"); kind == nil || string(kind) == `""` {
		rootfs.put("type", jsontext.Value(`"layers"`)) // which it must be (OCI image spec, "rootfs")
	}
	ids, err := readList(rootfs.get("diff_ids"))
	if err != nil {
		return fmt.Errorf("rootfs.diff_ids: %w", err)
	}
	history, err := d.history()
	if err != nil {
		return err
	}
	for _, l := range layers {
		id, err := marshal(l.DiffID)
		if err != nil {
			return err
		}
		descriptor, err := marshal(bare(l.Descriptor))
		if err != nil {
			return err
		}
		ids = append(ids, id)
		history = append(history, ownHistory(created))
		d.layers = append(d.layers, descriptor)
	}
	return errors.Join(
		rootfs.set("diff_ids", ids),
		d.config.set("rootfs", rootfs),
		d.config.set("history", history),
	)
}
