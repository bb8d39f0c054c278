package pushspec

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// document has the fields of a manifest or an index that refer to something else. Only
// the registry uses the other fields.
type document struct {
	MediaType types.MediaType `json:"mediaType"`
	Config    *reference      `json:"config"`
	Layers    []reference     `json:"layers"`
	Manifests []reference     `json:"manifests"`
	Subject   *reference      `json:"subject"`
}

// reference is what is read of a descriptor in a manifest.
type reference struct {
	Digest v1.Hash `json:"digest"`
	Size   int64   `json:"size"`
}

// manifests checks that every manifest comes after what it refers to, that the spec
// has everything that it refers to, in the same size, and that the spec has nothing
// else.
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
			return v.fail(field+".data", "must not be empty: manifests are embedded in the spec")
		}
		if !d.MediaType.IsImage() && !d.MediaType.IsIndex() {
			return v.fail(field+".mediaType", "%q must be the media type of an image manifest or an index", clip(string(d.MediaType)))
		}
		if _, twice := earlier[d.Digest]; twice {
			return v.fail(field+".digest", "%s occurs twice", d.Digest)
		}
		if err := readDocument(d.Data, &documents[i]); err != nil {
			return v.fail(field+".data", "must be a manifest: %s", clip(err.Error()))
		}
		if inside := documents[i].MediaType; inside != "" && inside != d.MediaType {
			return v.fail(field+".mediaType", "%q must be the media type in the manifest, %q", clip(string(d.MediaType)), clip(string(inside)))
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
			return v.fail(fmt.Sprintf("manifests[%d]", i), "%s must be reachable from the root, or its subject must be in the spec", d.Digest)
		}
		for _, child := range documents[i].Manifests {
			useful[child.Digest] = true
		}
	}
	for i, blob := range v.spec.Blobs {
		if v.referred[blob.Digest] == 0 {
			return v.fail(fmt.Sprintf("blobs[%d]", i), "no manifest names %s; remove it", blob.Digest)
		}
	}
	return nil
}

func readDocument(data []byte, doc *document) error {
	if err := manifestShape.check(data, nil); err != nil {
		return shapeError(err)
	}
	return json.Unmarshal(data, doc) //nolint:wrapcheck // the caller says what it is
}

// references checks what one manifest refers to.
func (v *validator) references(field string, d v1.Descriptor, doc document, earlier map[v1.Hash]int64) error {
	isIndex := d.MediaType.IsIndex()
	switch {
	case isIndex && (doc.Config != nil || len(doc.Layers) > 0):
		return v.fail(field+".data", "has the media type of an index, but it has a config or layers")
	case !isIndex && len(doc.Manifests) > 0:
		return v.fail(field+".data", "has the media type of an image manifest, but it lists manifests")
	case !isIndex && doc.Config == nil:
		return v.fail(field+".data", "is an image manifest and must have a config")
	}
	for j, child := range doc.Manifests {
		size, there := earlier[child.Digest]
		if !there {
			return v.fail(field, "its manifests[%d], %s, must be embedded before it", j, child.Digest)
		}
		if size != child.Size {
			return v.fail(field, "its manifests[%d], %s, has %d bytes, but it says %d", j, child.Digest, size, child.Size)
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

func (v *validator) blobReference(field, which string, want reference) error {
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
