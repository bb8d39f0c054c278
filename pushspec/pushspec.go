// Package pushspec reads and writes push specs. A push spec is the document that an
// image_push target writes for the daemon. It says what to push, where to, and under
// which tags. It has only metadata: it contains no layers.
//
// docs/push-spec.md specifies the document. Build actions write it, so a reader must
// treat it as untrusted input: [Decode] bounds its size, depth and counts, refuses
// unknown fields, and checks all embedded bytes against their digests.
//
// See docs/decisions/0003-one-push-spec-one-image-one-repository.md.
package pushspec

import (
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// MediaType is the media type of a version 1 push spec. A spec that needs no later
	// version is written in this one, so that every release can read it.
	MediaType = "application/vnd.drayage.pushspec.v1+json"

	// SchemaVersion is the number of version 1.
	SchemaVersion = 1

	// MediaTypeV2 is the media type of a version 2 push spec, which can say whether
	// tags are overwritten, and when they move, and whose stamp variables can have a
	// filter and a default.
	MediaTypeV2 = "application/vnd.drayage.pushspec.v2+json"

	// SchemaVersionV2 is the number of version 2.
	SchemaVersionV2 = 2

	// OutputGroup is the Bazel output group in which image_push lists its push
	// spec.
	OutputGroup = "push_spec"

	// FileSuffix ends the name of every push spec file, and of no other default output
	// of a target.
	FileSuffix = ".pushspec.json"
)

// Spec is one push: one image, to one repository, under any number of tags.
type Spec struct {
	SchemaVersion int    `json:"schemaVersion"`
	MediaType     string `json:"mediaType"`

	// Target is the label of the target that requests the push, in Bazel's full form:
	// "@@//app:push", for example. It is for messages and for the ledger; it grants
	// nothing.
	Target string `json:"target"`

	Destination Destination `json:"destination"`

	// Root is the digest of the manifest or index that the tags point to. It must be
	// one of Manifests.
	Root v1.Hash `json:"root"`

	// Manifests are all manifests and indexes to write. The data field of each
	// descriptor has the bytes. A manifest comes after those that it refers to, because
	// registries require that order. A manifest that cannot be reached from Root is a
	// referrer: its subject is one of the other manifests.
	Manifests []v1.Descriptor `json:"manifests"`

	// Blobs are the configs and layers of Manifests, each once.
	Blobs []Blob `json:"blobs"`
}

// Destination is where an image goes.
type Destination struct {
	// Registry is a host, with its port if that is not the default.
	Registry string `json:"registry"`
	// Repository is the name of a repository in Registry. It may contain stamp
	// variables.
	Repository string `json:"repository"`
	// Tags may contain stamp variables. Without a tag, the image is pushed by digest.
	Tags []string `json:"tags,omitempty"`
	// Overwrite says whether to overwrite a tag that points to another image. Empty
	// means OverwriteAlways. It needs version 2.
	Overwrite Overwrite `json:"overwrite,omitempty"`
	// Gate says when the tags move. Empty means GatePushed. It needs version 2.
	Gate Gate `json:"gate,omitempty"`
}

// Overwrite says what happens to a tag that points to another image.
type Overwrite string

const (
	// OverwriteAlways moves the tag.
	OverwriteAlways Overwrite = "always"
	// OverwriteNever keeps the tag, and the push fails.
	OverwriteNever Overwrite = "never"
)

// KeepTags returns the tags that must not be overwritten.
func (d Destination) KeepTags() []string {
	if d.Overwrite == OverwriteNever {
		return d.Tags
	}
	return nil
}

// Version sets the oldest version that has all fields of the spec.
func (s *Spec) Version() {
	s.SchemaVersion, s.MediaType = SchemaVersion, MediaType
	later := func(template string) bool { return !plain(template) }
	if s.Destination.Overwrite != "" || s.Destination.Gate != "" || slices.ContainsFunc(s.Destination.templates(), later) {
		s.SchemaVersion, s.MediaType = SchemaVersionV2, MediaTypeV2
	}
}

// knownVersion tells whether this package reads a version.
func knownVersion(version int, mediaType string) bool {
	return version == SchemaVersion && mediaType == MediaType || version == SchemaVersionV2 && mediaType == MediaTypeV2
}

// Blob is a config or a layer: its descriptor, and where its bytes are. The bytes are
// either in the descriptor's data field, or in one of Sources. A layer that is not
// [Distributable] is not pushed, and needs neither.
type Blob struct {
	v1.Descriptor

	// Sources are where the bytes can be read, the preferred source first.
	Sources []Source `json:"sources,omitempty"`
}

// Source is one place that has a blob's bytes. Exactly one field must be set.
type Source struct {
	// CAS is the blob's digest in the remote cache that the build used, as
	// "function:hex": "sha256:…", or "blake3:…" in a build under
	// --digest_function=blake3.
	CAS string `json:"cas,omitempty"`

	// Repository is a repository, with its registry, that has the blob under its OCI
	// digest: "index.docker.io/library/ubuntu".
	Repository string `json:"repository,omitempty"`
}
