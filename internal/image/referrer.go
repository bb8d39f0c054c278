package image

import (
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/layer"
)

// emptyJSON is the content of a config that says nothing (OCI image spec,
// "Guidance for an Empty Descriptor").
const emptyJSON = "{}"

const emptyMediaType types.MediaType = "application/vnd.oci.empty.v1+json"

// Artifact is what is said about an image: a bill of materials, a provenance.
type Artifact struct {
	// Type is the artifact's media type, by which it is looked up.
	Type string
	// Files are its blobs.
	Files       []layer.Metadata
	Annotations map[string]string
}

// Referrer is the manifest of an artifact whose subject is an image or an index
// (OCI image spec, "Guidelines for Artifact Usage").
func Referrer(subject v1.Descriptor, artifact Artifact) ([]byte, error) {
	if artifact.Type == "" {
		return nil, errors.New("an artifact must have a type: a media type such as application/spdx+json")
	}
	if len(artifact.Files) == 0 {
		return nil, errors.New("an artifact must have at least one file")
	}
	manifest := v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  artifact.Type,
		Config:        Describe(emptyMediaType, []byte(emptyJSON)),
		Subject:       &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations:   orNil(artifact.Annotations),
	}
	for _, file := range artifact.Files {
		manifest.Layers = append(manifest.Layers, bare(file.Descriptor))
	}
	data, err := marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("write manifest of artifact: %w", err)
	}
	return data, nil
}
