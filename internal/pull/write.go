package pull

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/drayage/drayage/internal/platform"
	"github.com/drayage/drayage/pushspec"
)

// Written says what [Write] wrote for an image, for the repository rule that makes
// targets of it. Paths are relative to the folder.
type Written struct {
	// Name is unique among the images of one pull, and valid as a target name.
	Name string `json:"name"`
	// OS, Architecture and Variant are the image's platform.
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`

	Manifest string `json:"manifest"`
	Config   string `json:"config"`
	// Platform is the file with the fields of the platform that only the index has, or
	// "".
	Platform string `json:"platform"`
	// Layers are the files of the layers' metadata, the lowest first.
	Layers []string `json:"layers"`
	// Blobs are the layers, if they were asked for, without nondistributable ones.
	Blobs []string `json:"blobs"`
}

// Write writes the images below dir, with their layers if withLayers is set. If two
// images have one platform (Windows versions), the digest is part of the second name.
func Write(dir string, images []Image, withLayers bool) ([]Written, error) {
	written := []Written{}
	taken := map[string]bool{}
	for _, image := range images {
		label := image.name()
		if taken[label] {
			label += "_" + image.digest.Hex[:12]
		}
		taken[label] = true
		w, err := image.write(dir, label, withLayers)
		if err != nil {
			return nil, fmt.Errorf("write image for %s: %w", platform.Name(image.Platform), err)
		}
		written = append(written, w)
	}
	return written, nil
}

func (i Image) write(dir, label string, withLayers bool) (Written, error) {
	w := Written{
		Name: label, OS: i.Platform.OS, Architecture: i.Platform.Architecture, Variant: i.Platform.Variant,
		Manifest: label + "/manifest.json", Config: label + "/config.json", Layers: []string{}, Blobs: []string{},
	}
	if err := os.MkdirAll(filepath.Join(dir, label), 0o755); err != nil { //nolint:gosec // an output of a build, for everybody
		return w, err
	}
	if err := os.WriteFile(filepath.Join(dir, w.Manifest), i.manifest, 0o644); err != nil { //nolint:gosec // an output of a build, for everybody
		return w, err
	}
	if err := os.WriteFile(filepath.Join(dir, w.Config), i.config, 0o644); err != nil { //nolint:gosec // an output of a build, for everybody
		return w, err
	}
	listed, err := i.onlyListed()
	if err != nil {
		return w, err
	}
	if listed != nil {
		w.Platform = label + "/platform.json"
		if err := os.WriteFile(filepath.Join(dir, w.Platform), listed, 0o644); err != nil { //nolint:gosec // an output of a build, for everybody
			return w, err
		}
	}
	for n, l := range i.Layers {
		path := fmt.Sprintf("%s/%d.layer.json", label, n)
		if err := l.WriteFile(filepath.Join(dir, path)); err != nil {
			return w, err
		}
		w.Layers = append(w.Layers, path)
	}
	if !withLayers {
		return w, nil
	}
	layers, err := i.image.Layers()
	if err != nil {
		return w, err
	}
	for n, l := range layers {
		if !i.nondistributable && !pushspec.Distributable(i.Layers[n].MediaType) {
			continue
		}
		path := fmt.Sprintf("%s/%d.blob", label, n)
		if err := i.blobs.fetch(filepath.Join(dir, path), i.Layers[n].Descriptor, l.Compressed); err != nil {
			return w, fmt.Errorf("fetch layer %s: %w", i.Layers[n].Digest, err)
		}
		w.Blobs = append(w.Blobs, path)
	}
	return w, nil
}
