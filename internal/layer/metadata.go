package layer

import (
	"fmt"
	"os"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Metadata is what the rest of a build needs to know about a layer: a few
// hundred bytes that stand for the blob.
type Metadata struct {
	pushspec.Blob

	// DiffID is the digest of the uncompressed archive (OCI image spec, "Layer
	// DiffID").
	DiffID v1.Hash `json:"diffId"`
}

// ReadMetadata reads the file that the layer action wrote.
func ReadMetadata(path string) (Metadata, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Metadata{}, fmt.Errorf("read layer metadata: %w", err)
	}
	var m Metadata
	if err := json.Unmarshal(data, &m, json.RejectUnknownMembers(true)); err != nil {
		return Metadata{}, fmt.Errorf("read layer metadata %s: %w", path, err)
	}
	return m, nil
}

// WriteFile writes the metadata to path.
func (m Metadata) WriteFile(path string) error {
	data, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write layer metadata: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil { //nolint:gosec // an output of a build action, for everybody
		return fmt.Errorf("write layer metadata: %w", err)
	}
	return nil
}
