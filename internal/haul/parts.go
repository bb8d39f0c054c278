package haul

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

// part is a manifest or index of a spec, and what it refers to.
type part struct {
	*v1.Descriptor
	// blobs are its config and layers.
	blobs []v1.Hash
	// subject is what it is a referrer of, and entry how it is listed there. Without a
	// subject both are zero.
	subject v1.Hash
	entry   v1.Descriptor
}

// reference is what is read of a descriptor in a manifest: the rest may be large.
type reference struct {
	MediaType types.MediaType `json:"mediaType"`
	Digest    v1.Hash         `json:"digest"`
}

func (p *part) isReferrer() bool { return p.subject != v1.Hash{} }

// parts reads a spec's manifests, in their order.
func parts(spec *pushspec.Spec) ([]*part, error) {
	var all []*part
	hasRoot := false
	for i := range spec.Manifests {
		p := &part{Descriptor: &spec.Manifests[i]}
		hasRoot = hasRoot || p.Digest == spec.Root
		var doc struct {
			ArtifactType string            `json:"artifactType"`
			Config       *reference        `json:"config"`
			Layers       []reference       `json:"layers"`
			Subject      *reference        `json:"subject"`
			Annotations  map[string]string `json:"annotations"`
		}
		if err := json.Unmarshal(p.Data, &doc); err != nil {
			return nil, &Error{Class: Malformed, Text: fmt.Sprintf("push spec: manifest %s cannot be read: %v", p.Digest, err), Err: err}
		}
		if doc.Config != nil {
			p.blobs = append(p.blobs, doc.Config.Digest)
		}
		for _, layer := range doc.Layers {
			p.blobs = append(p.blobs, layer.Digest)
		}
		if doc.Subject != nil {
			p.subject = doc.Subject.Digest
			p.entry = v1.Descriptor{MediaType: p.MediaType, Digest: p.Digest, Size: p.Size, ArtifactType: doc.ArtifactType, Annotations: doc.Annotations}
			if p.entry.ArtifactType == "" && doc.Config != nil {
				p.entry.ArtifactType = string(doc.Config.MediaType)
			}
		}
		all = append(all, p)
	}
	if !hasRoot {
		return nil, &Error{Class: Malformed, Text: fmt.Sprintf("push spec: root %s is not one of its manifests", spec.Root)}
	}
	return all, nil
}

// fallbackTag is the tag under which the referrers of a digest are listed by registries
// that keep no list (distribution spec, "Referrers Tag Schema").
func fallbackTag(subject v1.Hash) string { return strings.ReplaceAll(subject.String(), ":", "-") }
