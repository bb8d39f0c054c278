package image

import (
	"bytes"
	"fmt"
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/pushspec"
)

// Push is what a push spec is made of.
type Push struct {
	// Target is the label of the target that pushes.
	Target      string
	Destination pushspec.Destination
	// Images are those of the index, or the one that is pushed by itself.
	Images []Image
	// Index over the images, or nil.
	Index []byte
	// Referrers are manifests of artifacts whose subject is the index, or the one
	// image: see [Referrer].
	Referrers [][]byte
	// Layers say of each of the images' layers, and of the artifacts' files, where
	// its bytes are.
	Layers []layer.Metadata
	// MadeBy are the labels of the targets that make them, in the same order. It may
	// be empty.
	MadeBy []string
	// Uncached are the tags that keep what a target makes out of remote caches, by its
	// label.
	Uncached map[string]string
}

// PushSpec makes a push spec.
func PushSpec(push Push) (*pushspec.Spec, error) {
	spec := &pushspec.Spec{
		Target:      push.Target,
		Destination: push.Destination,
	}
	spec.Version()
	known, err := push.known()
	if err != nil {
		return nil, err
	}
	seen := map[v1.Hash]bool{}
	for _, image := range push.Images {
		root, err := image.descriptor()
		if err != nil {
			return nil, err
		}
		root.Data = image.Manifest
		spec.Root = root.Digest
		if seen[root.Digest] {
			continue
		}
		seen[root.Digest] = true
		spec.Manifests = append(spec.Manifests, root)
		blobs, err := image.blobs(known, seen)
		if err != nil {
			return nil, err
		}
		spec.Blobs = append(spec.Blobs, blobs...)
	}
	if push.Index != nil {
		index := Describe(types.OCIImageIndex, push.Index)
		index.Data = push.Index
		spec.Root = index.Digest
		spec.Manifests = append(spec.Manifests, index)
	} else if len(push.Images) != 1 {
		return nil, fmt.Errorf("%d images need an index to be one push", len(push.Images))
	}
	for _, manifest := range push.Referrers {
		referrer := Describe(types.OCIManifestSchema1, manifest)
		if seen[referrer.Digest] {
			continue // two artifacts of the same files are one
		}
		seen[referrer.Digest] = true
		referrer.Data = manifest
		spec.Manifests = append(spec.Manifests, referrer)
		blobs, err := Image{Manifest: manifest, Config: []byte(emptyJSON)}.blobs(known, seen)
		if err != nil {
			return nil, err
		}
		spec.Blobs = append(spec.Blobs, blobs...)
	}
	return spec, nil
}

// known are what the spec adds to the descriptors of layers, by their digests.
func (p Push) known() (map[v1.Hash]pushspec.Blob, error) {
	if len(p.MadeBy) > 0 && len(p.MadeBy) != len(p.Layers) {
		return nil, fmt.Errorf("%d targets were given for %d layers: give one for each", len(p.MadeBy), len(p.Layers))
	}
	known := make(map[v1.Hash]pushspec.Blob, len(p.Layers))
	for i, l := range p.Layers {
		blob := pushspec.Blob{Sources: l.Sources}
		if len(p.MadeBy) > 0 {
			target := p.MadeBy[i]
			blob.Annotations = map[string]string{pushspec.TargetAnnotation: target}
			if tag := p.Uncached[target]; tag != "" {
				blob.Annotations[pushspec.UncachedAnnotation] = tag
			}
		}
		// Of two targets that make the same bytes one gets them into the cache.
		if first, twice := known[l.Digest]; !twice || first.Uncached() != "" {
			known[l.Digest] = blob
		}
	}
	return known, nil
}

// blobs are the config and the layers of the image that have not been seen.
func (i Image) blobs(known map[v1.Hash]pushspec.Blob, seen map[v1.Hash]bool) ([]pushspec.Blob, error) {
	manifest, err := v1.ParseManifest(bytes.NewReader(i.Manifest))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	var blobs []pushspec.Blob
	if config := bare(manifest.Config); !seen[config.Digest] {
		seen[config.Digest] = true
		config.Data = i.Config
		blobs = append(blobs, pushspec.Blob{Descriptor: config})
	}
	for n, d := range manifest.Layers {
		if seen[d.Digest] {
			continue // an image may have a layer twice, and images share layers; the bytes are one blob
		}
		l, there := known[d.Digest]
		if !there && pushspec.Distributable(d.MediaType) {
			return nil, fmt.Errorf("no metadata tells where to get layer %d of the manifest, %s", n, d.Digest)
		}
		seen[d.Digest] = true
		blob := pushspec.Blob{Descriptor: bare(d), Sources: l.Sources}
		if len(l.Annotations) > 0 {
			blob.Annotations = make(map[string]string, len(d.Annotations)+len(l.Annotations))
			maps.Copy(blob.Annotations, d.Annotations)
			maps.Copy(blob.Annotations, l.Annotations)
		}
		blobs = append(blobs, blob)
	}
	return blobs, nil
}
