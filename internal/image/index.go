package image

import (
	"bytes"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Index assembles an index over images for several platforms, in the order
// given. The same images give the same bytes.
func Index(images []Image, annotations map[string]string) ([]byte, error) {
	index := v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{},
		Annotations:   annotations,
	}
	taken := map[string]bool{}
	for _, image := range images {
		d, err := image.descriptor()
		if err != nil {
			return nil, err
		}
		platform := d.Platform.String()
		if taken[platform] {
			return nil, fmt.Errorf("two images are for %s: an index must have only one image for each platform", platform)
		}
		taken[platform] = true
		index.Manifests = append(index.Manifests, d)
	}
	data, err := marshal(index)
	if err != nil {
		return nil, fmt.Errorf("write index: %w", err)
	}
	return data, nil
}

// descriptor describes the image's manifest, with the platform that it is for.
func (i Image) descriptor() (v1.Descriptor, error) {
	manifest, err := v1.ParseManifest(bytes.NewReader(i.Manifest))
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("read manifest: %w", err)
	}
	platform, err := platformOf(i.Config, i.Platform)
	if err != nil {
		return v1.Descriptor{}, err
	}
	mediaType := manifest.MediaType
	if mediaType == "" {
		mediaType = types.OCIManifestSchema1 // the field is optional in the OCI image spec
	}
	d := Describe(mediaType, i.Manifest)
	d.Platform = &platform
	return d, nil
}
