package pull

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/pushspec"
)

// Parts are the files of an image that somebody else has brought here, and that
// may be anything.
type Parts struct {
	Manifest, Config string
	// Layers are the files of the layers' metadata, the lowest first.
	Layers []string
}

// Checked are the bytes of an image's metadata, which belong together.
type Checked struct {
	Manifest, Config []byte
	// Layers are those of the manifest.
	Layers []v1.Descriptor
}

// Read reads the parts, and refuses what is not of its kind, or not of one image.
func (p Parts) Read() (Checked, error) {
	var c Checked
	var err error
	if c.Manifest, err = readPart(p.Manifest); err != nil {
		return c, fmt.Errorf("manifest: %w", err)
	}
	if c.Config, err = readPart(p.Config); err != nil {
		return c, fmt.Errorf("config: %w", err)
	}
	manifest, err := parseManifest(c.Manifest)
	if err != nil {
		return c, fmt.Errorf("manifest %s: %w", p.Manifest, err)
	}
	if err := compare(c.Config, manifest.Config); err != nil {
		return c, fmt.Errorf("config %s is not the one that the manifest names: %w; take both from the same image, byte for byte", p.Config, err)
	}
	diffIDs, err := parseConfig(c.Config)
	if err != nil {
		return c, fmt.Errorf("config %s: %w", p.Config, err)
	}
	c.Layers = manifest.Layers
	if len(diffIDs) != len(c.Layers) {
		return c, fmt.Errorf("config %s belongs to another image: it has %d diff IDs, but the manifest has %d layers", p.Config, len(diffIDs), len(c.Layers))
	}
	if len(p.Layers) != len(c.Layers) {
		return c, fmt.Errorf("the metadata of %d layers were given, but the manifest has %d; give one file for each layer, the lowest first", len(p.Layers), len(c.Layers))
	}
	for i, path := range p.Layers {
		if err := checkLayer(path, c.Layers[i], diffIDs[i]); err != nil {
			return c, fmt.Errorf("metadata %s of layer %d: %w", path, i, err)
		}
	}
	return c, nil
}

// readPart reads a file that cannot be larger than what a push spec holds.
func readPart(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, pushspec.MaxDataSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > pushspec.MaxDataSize {
		return nil, fmt.Errorf("%s must have at most %d bytes", path, pushspec.MaxDataSize)
	}
	return data, nil
}

// imageManifest is what matters here of an image manifest.
type imageManifest struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	Config        v1.Descriptor   `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	// Manifests are an index's.
	Manifests []v1.Descriptor `json:"manifests"`
}

func parseManifest(data []byte) (imageManifest, error) {
	var m imageManifest
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("it is not an image manifest: %w", err)
	}
	switch {
	case m.MediaType.IsIndex(), m.Manifests != nil:
		return m, errors.New("it is an index: give the manifest of one of its images")
	case m.SchemaVersion != 2, m.MediaType != "" && !m.MediaType.IsImage():
		return m, fmt.Errorf("it is not an image manifest: its schemaVersion is %d and its mediaType %q", m.SchemaVersion, m.MediaType)
	case !m.Config.MediaType.IsConfig():
		return m, fmt.Errorf("it is not the manifest of a container image: its config is a %q", m.Config.MediaType)
	}
	return m, nil
}

// parseConfig returns the diff ids.
func parseConfig(data []byte) ([]v1.Hash, error) {
	var config struct {
		RootFS struct {
			DiffIDs []v1.Hash `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("it is not an image config: %w", err)
	}
	return config.RootFS.DiffIDs, nil
}

// compare tells whether data are what the descriptor is of.
func compare(data []byte, d v1.Descriptor) error {
	if int64(len(data)) != d.Size {
		return fmt.Errorf("it has %d bytes, but the manifest says %d", len(data), d.Size)
	}
	return verified(io.Discard, bytes.NewReader(data), d)
}

func checkLayer(path string, want v1.Descriptor, diffID v1.Hash) error {
	if _, err := readPart(path); err != nil {
		return err
	}
	got, err := layer.ReadMetadata(path)
	switch {
	case err != nil:
		return err
	case got.Digest != want.Digest:
		return fmt.Errorf("they describe %s, but the manifest names %s", got.Digest, want.Digest)
	case got.Size != want.Size:
		return fmt.Errorf("they say %d bytes, but the manifest says %d", got.Size, want.Size)
	case got.DiffID != diffID:
		return fmt.Errorf("their diff ID is %s, but that of the config is %s", got.DiffID, diffID)
	}
	return nil
}

// CheckBlobs reads files, and refuses one that is not a layer of the manifest.
func CheckBlobs(files []string, layers []v1.Descriptor) error {
	for _, path := range files {
		if err := checkBlob(path, layers); err != nil {
			return fmt.Errorf("blob %s is not a layer of the manifest: %w", path, err)
		}
	}
	return nil
}

func checkBlob(path string, layers []v1.Descriptor) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	sums := map[string]string{}
	for _, d := range layers {
		if d.Size != info.Size() {
			continue
		}
		algorithm := d.Digest.Algorithm
		if sums[algorithm] == "" {
			if sums[algorithm], err = sumOf(path, algorithm); err != nil {
				return err
			}
		}
		if sums[algorithm] == d.Digest.Hex {
			return nil
		}
	}
	for algorithm, sum := range sums {
		return fmt.Errorf("it is %s:%s, not the layer of the same size; fetch or make it again", algorithm, sum)
	}
	return fmt.Errorf("no layer has its %d bytes; fetch or make it again", info.Size())
}

func sumOf(path, algorithm string) (string, error) {
	sum, err := v1.Hasher(algorithm)
	if err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
