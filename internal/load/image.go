package load

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/platform"
	"github.com/drayage/drayage/pushspec"
)

// Image is the part of a push spec that is loaded.
type Image struct {
	// Root is the target of the names: the manifest of an image, or an index that
	// lists Platforms and possibly more.
	Root v1.Descriptor
	// Manifests are the manifests to write, with their bytes. Each comes after those
	// that it refers to, and Root is the last.
	Manifests []v1.Descriptor
	// Blobs are the configs and layers of Manifests, each once.
	Blobs []pushspec.Blob
	// Platforms are the images in Manifests that containers can run from.
	Platforms []Runnable
}

// Runnable is an image for one platform.
type Runnable struct {
	Platform v1.Platform
	Manifest v1.Descriptor
	Config   v1.Descriptor
	// Layers are in their order, the lowest first, and DiffIDs are the digests of
	// their uncompressed archives.
	Layers  []v1.Descriptor
	diffIDs []v1.Hash
}

// document has the fields of a manifest or an index that are needed here.
type document struct {
	Config    v1.Descriptor   `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
}

// config has the fields of an image's config that are needed here.
type config struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
	RootFS       struct {
		DiffIDs []v1.Hash `json:"diff_ids"`
	} `json:"rootfs"`
}

// spec is a push spec with its documents taken apart.
type spec struct {
	*pushspec.Spec

	manifests map[v1.Hash]v1.Descriptor
	blobs     map[v1.Hash]pushspec.Blob
	documents map[v1.Hash]document
	// listed are the platforms of images in the indexes that list them.
	listed map[v1.Hash]v1.Platform
}

func open(from *pushspec.Spec) (*spec, error) {
	s := &spec{
		Spec: from, manifests: map[v1.Hash]v1.Descriptor{}, blobs: map[v1.Hash]pushspec.Blob{}, documents: map[v1.Hash]document{},
		listed: map[v1.Hash]v1.Platform{},
	}
	for _, d := range from.Manifests {
		var doc document
		if err := json.Unmarshal(d.Data, &doc); err != nil {
			return nil, fmt.Errorf("read manifest %s: %w", d.Digest, err)
		}
		s.manifests[d.Digest], s.documents[d.Digest] = d, doc
		for _, listed := range doc.Manifests {
			if listed.Platform != nil {
				s.listed[listed.Digest] = *listed.Platform
			}
		}
	}
	for _, b := range from.Blobs {
		s.blobs[b.Digest] = b
	}
	return s, nil
}

// leaves are the image manifests at or below the root, each once, even if several
// indexes list it.
func (s *spec) leaves() []v1.Hash {
	var found []v1.Hash
	seen := map[v1.Hash]bool{}
	var walk func(at v1.Hash)
	walk = func(at v1.Hash) {
		d, there := s.manifests[at]
		if !there || seen[at] {
			return
		}
		seen[at] = true
		if !d.MediaType.IsIndex() {
			found = append(found, at)
			return
		}
		for _, child := range s.documents[at].Manifests {
			walk(child.Digest)
		}
	}
	walk(s.Root)
	return found
}

// runnable is the image of a manifest. It returns false for other manifests, such as
// attestations.
func (s *spec) runnable(digest v1.Hash) (Runnable, bool, error) {
	doc := s.documents[digest]
	blob := s.blobs[doc.Config.Digest]
	if !blob.MediaType.IsConfig() {
		return Runnable{}, false, nil
	}
	if blob.Data == nil {
		return Runnable{}, false, fmt.Errorf("the push spec does not contain the config of the manifest %s: build it again with rules that embed configs", digest)
	}
	var c config
	if err := json.Unmarshal(blob.Data, &c); err != nil {
		return Runnable{}, false, fmt.Errorf("read config %s: %w", doc.Config.Digest, err)
	}
	is := platform.Fill(v1.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}, s.listed[digest])
	if is.OS == "" || is.OS == "unknown" {
		return Runnable{}, false, nil
	}
	if len(c.RootFS.DiffIDs) != len(doc.Layers) {
		return Runnable{}, false, fmt.Errorf("the manifest %s has %d layers, but its config has %d diff ids: build the image again", digest, len(doc.Layers), len(c.RootFS.DiffIDs))
	}
	return Runnable{
		Platform: is,
		Manifest: s.manifests[digest],
		Config:   blob.Descriptor,
		Layers:   doc.Layers,
		diffIDs:  c.RootFS.DiffIDs,
	}, true, nil
}

// image is the part of the spec to load for these manifests: the manifests, the
// indexes that lead to them, and their blobs.
func (s *spec) image(leaves []v1.Hash, platforms []Runnable) *Image {
	wanted := map[v1.Hash]bool{}
	var mark func(at v1.Hash) bool
	mark = func(at v1.Hash) bool {
		if known, looked := wanted[at]; looked {
			return known
		}
		use := slices.Contains(leaves, at)
		for _, child := range s.documents[at].Manifests {
			use = mark(child.Digest) || use
		}
		wanted[at] = use
		return use
	}
	mark(s.Root)

	i := &Image{Root: s.manifests[s.Root], Platforms: platforms}
	seen := map[v1.Hash]bool{}
	add := func(digest v1.Hash) {
		if !seen[digest] {
			seen[digest] = true
			i.Blobs = append(i.Blobs, s.blobs[digest])
		}
	}
	for _, d := range s.Manifests { // what is referred to comes first in a spec
		if !wanted[d.Digest] {
			continue
		}
		i.Manifests = append(i.Manifests, d)
		if !d.MediaType.IsIndex() {
			add(s.documents[d.Digest].Config.Digest)
			for _, layer := range s.documents[d.Digest].Layers {
				add(layer.Digest)
			}
		}
	}
	return i
}
