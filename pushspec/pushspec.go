// Package pushspec is the push spec: the document that an image_push target
// writes and that the daemon acts on. It says what to push, where to, and under
// which tags, and is metadata only: layer bytes stay where they are.
//
// The document is specified in docs/push-spec.md. It is written by build
// actions, so whoever reads one treats it as untrusted input: [Decode] bounds
// its size, depth and counts, refuses what it does not know, and checks every
// embedded byte against its digest before anything is done with it.
//
// See docs/decisions/0003-one-push-spec-one-image-one-repository.md.
package pushspec

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// MediaType is the media type of a version 1 push spec, which is what is written
	// for readers of any release where it says all.
	MediaType = "application/vnd.drayage.pushspec.v1+json"

	// SchemaVersion is that version.
	SchemaVersion = 1

	// MediaTypeV2 is the media type of a version 2 push spec: one that may say
	// whether tags are written over.
	MediaTypeV2 = "application/vnd.drayage.pushspec.v2+json"

	// SchemaVersionV2 is that version.
	SchemaVersionV2 = 2

	// OutputGroup is the Bazel output group in which image_push lists its push
	// spec.
	OutputGroup = "push_spec"

	// FileSuffix ends the name of every push spec file, so that one can be told
	// from other files of a target's default outputs.
	FileSuffix = ".pushspec.json"
)

// Spec is one push: one image, to one repository, under any number of tags.
type Spec struct {
	SchemaVersion int    `json:"schemaVersion"`
	MediaType     string `json:"mediaType"`

	// Target is the label of the target that asks for the push, as its rule knows
	// it: "@@//app:push", say. It is used in messages and in the ledger; it grants
	// nothing.
	Target string `json:"target"`

	Destination Destination `json:"destination"`

	// Root is the digest of the manifest or index that the tags point to. It is
	// one of Manifests.
	Root v1.Hash `json:"root"`

	// Manifests are all manifests and indexes to write, each with its bytes in
	// the descriptor's data field, in the order in which a registry takes them:
	// what is referred to comes before what refers to it. A manifest that Root
	// does not reach is a referrer: its subject is one of the other manifests.
	Manifests []v1.Descriptor `json:"manifests"`

	// Blobs are the configs and layers that Manifests name, each one once.
	Blobs []Blob `json:"blobs"`
}

// Destination is where an image goes.
type Destination struct {
	// Registry is a host, with a port if it is not the scheme's own.
	Registry string `json:"registry"`
	// Repository is the name of a repository in Registry. It may hold stamp
	// variables.
	Repository string `json:"repository"`
	// Tags may hold stamp variables. With no tag the image is pushed by digest
	// alone.
	Tags []string `json:"tags,omitempty"`
	// Overwrite says whether a tag that points to another image is made to point to
	// this one. Empty is as OverwriteAlways. It is of version 2.
	Overwrite Overwrite `json:"overwrite,omitempty"`
}

// Overwrite says what happens to a tag that points to another image.
type Overwrite string

const (
	// OverwriteAlways moves the tag.
	OverwriteAlways Overwrite = "always"
	// OverwriteNever leaves it, and fails the push.
	OverwriteNever Overwrite = "never"
)

// KeepTags are the tags that must not be written over.
func (d Destination) KeepTags() []string {
	if d.Overwrite == OverwriteNever {
		return d.Tags
	}
	return nil
}

// Version makes the spec one of the oldest version that has all that it says.
func (s *Spec) Version() {
	s.SchemaVersion, s.MediaType = SchemaVersion, MediaType
	if s.Destination.Overwrite != "" {
		s.SchemaVersion, s.MediaType = SchemaVersionV2, MediaTypeV2
	}
}

// knownVersion tells whether this package reads a version.
func knownVersion(version int, mediaType string) bool {
	return version == SchemaVersion && mediaType == MediaType || version == SchemaVersionV2 && mediaType == MediaTypeV2
}

// Blob is a config or a layer: its descriptor, and where its bytes are. Either
// the descriptor's data field holds them, or Sources says who has them. A layer that
// is not [Distributable] is not pushed, and need have neither.
type Blob struct {
	v1.Descriptor

	// Sources are the places that have the bytes, the preferred one first.
	Sources []Source `json:"sources,omitempty"`
}

// Source is one place that has a blob's bytes. Exactly one field is set.
type Source struct {
	// CAS is the blob's digest in the remote cache that the build used, as
	// "function:hex": "sha256:…", or "blake3:…" in a build under
	// --digest_function=blake3.
	CAS string `json:"cas,omitempty"`

	// Repository is a registry and a repository in it that have the blob under
	// its OCI digest: "index.docker.io/library/ubuntu".
	Repository string `json:"repository,omitempty"`
}
