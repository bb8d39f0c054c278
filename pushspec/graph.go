package pushspec

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// document is what is read of a manifest or an index: the fields that refer to
// something else. Whatever else it holds is the registry's affair.
type document struct {
	MediaType types.MediaType `json:"mediaType"`
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
	Subject   *v1.Descriptor  `json:"subject"`
}

// manifests checks that every manifest comes after what it refers to, that all
// it refers to is in the spec with the same size, and that nothing in the spec
// is without a use.
func (v *validator) manifests() error {
	useful := map[v1.Hash]bool{v.spec.Root: true}
	earlier := make(map[v1.Hash]int64, len(v.spec.Manifests)) // digest to size
	documents := make([]document, len(v.spec.Manifests))

	for i, d := range v.spec.Manifests {
		field := fmt.Sprintf("manifests[%d]", i)
		if err := v.descriptor(field, d); err != nil {
			return err
		}
		if d.Data == nil {
			return v.fail(field+".data", "must be set: a spec embeds its manifests")
		}
		if !d.MediaType.IsImage() && !d.MediaType.IsIndex() {
			return v.fail(field+".mediaType", "%q must be the type of an image manifest or an index", clip(string(d.MediaType)))
		}
		if _, twice := earlier[d.Digest]; twice {
			return v.fail(field+".digest", "%s must not be listed twice", d.Digest)
		}
		if err := json.Unmarshal(d.Data, &documents[i]); err != nil {
			return v.fail(field+".data", "is not a manifest: %s", clip(err.Error()))
		}
		if inside := documents[i].MediaType; inside != "" && inside != d.MediaType {
			return v.fail(field+".mediaType", "%q must be the type in the manifest itself, %q", clip(string(d.MediaType)), clip(string(inside)))
		}
		if err := v.references(field, d, documents[i], earlier); err != nil {
			return err
		}
		earlier[d.Digest] = d.Size
	}

	if _, there := earlier[v.spec.Root]; !there {
		return v.fail("root", "%s must be one of the manifests", v.spec.Root)
	}
	// From the last to the first, so that what a useful manifest refers to is
	// marked before it is looked at. A referrer is useful by its subject.
	for i, d := range slices.Backward(v.spec.Manifests) {
		if documents[i].Subject != nil {
			if _, inSpec := earlier[documents[i].Subject.Digest]; inSpec {
				useful[d.Digest] = true
			}
		}
		if !useful[d.Digest] {
			return v.fail(fmt.Sprintf("manifests[%d]", i), "%s must be listed by the root or an index below it, or have its subject in the spec", d.Digest)
		}
		for _, child := range documents[i].Manifests {
			useful[child.Digest] = true
		}
	}
	for i, blob := range v.spec.Blobs {
		if v.referred[blob.Digest] == 0 {
			return v.fail(fmt.Sprintf("blobs[%d]", i), "no manifest refers to %s", blob.Digest)
		}
	}
	return nil
}

// references checks what one manifest refers to.
func (v *validator) references(field string, d v1.Descriptor, doc document, earlier map[v1.Hash]int64) error {
	isIndex := d.MediaType.IsIndex()
	switch {
	case isIndex && (doc.Config != nil || len(doc.Layers) > 0):
		return v.fail(field+".data", "must not have a config or layers: its media type is an index")
	case !isIndex && len(doc.Manifests) > 0:
		return v.fail(field+".data", "must not list manifests: its media type is an image manifest")
	case !isIndex && doc.Config == nil:
		return v.fail(field+".data", "must have a config: its media type is an image manifest")
	}
	for j, child := range doc.Manifests {
		size, there := earlier[child.Digest]
		if !there {
			return v.fail(field, "its manifests[%d], %s, must be embedded before it", j, child.Digest)
		}
		if size != child.Size {
			return v.fail(field, "its manifests[%d], %s, has %d bytes, but the descriptor says %d", j, child.Digest, size, child.Size)
		}
	}
	if doc.Config != nil {
		if err := v.blobReference(field, "config", *doc.Config); err != nil {
			return err
		}
	}
	for j, layer := range doc.Layers {
		if err := v.blobReference(field, fmt.Sprintf("layers[%d]", j), layer); err != nil {
			return err
		}
	}
	return nil
}

func (v *validator) blobReference(field, which string, want v1.Descriptor) error {
	blob, there := v.byDigest[want.Digest]
	if !there {
		return v.fail(field, "its %s, %s, must be one of the blobs", which, want.Digest)
	}
	if blob.Size != want.Size {
		return v.fail(field, "its %s, %s, has %d bytes, but the blob says %d", which, want.Digest, want.Size, blob.Size)
	}
	v.referred[want.Digest]++
	return nil
}
