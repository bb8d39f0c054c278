package drift

import (
	"cmp"
	"slices"

	"github.com/drayage/drayage/internal/ledger"
)

// statement is something that the ledger says about a registry.
type statement struct {
	row int64
	// registry, repository and reference, a tag or a digest, say where.
	registry, repository, reference string
	// digest is what is served there, or empty if the tag was removed.
	digest string
	// others may be served there as well: a later push failed, and may have written the
	// tag before that.
	others []string
}

// name is HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST.
func (s statement) name() string {
	between := ":"
	if s.reference == s.digest {
		between = "@"
	}
	return s.registry + "/" + s.repository + between + s.reference
}

// statements gathers what entries say, each thing once. Entries come newest first, so
// that the first one to name a tag is the one that wrote it last.
type statements struct {
	seen map[string]bool
	// unsure are the digests that pushes which failed may have put under a tag.
	unsure map[string][]string
	list   []statement
}

func newStatements() *statements {
	return &statements{seen: map[string]bool{}, unsure: map[string][]string{}}
}

// removed is the digest of a tag that was removed.
const removed = "none"

func (s *statements) add(e ledger.Entry) {
	if !e.Outcome.Arrived() {
		s.doubt(e)
		return
	}
	for _, tag := range e.Tags {
		said := about(e, tag.Name, cmp.Or(tag.Digest, e.Digest))
		if tag.Digest == removed {
			said.digest = ""
		}
		said.others = s.unsure[said.name()]
		s.say(said)
	}
	s.say(about(e, e.Digest, e.Digest))
	for _, manifest := range e.Manifests {
		s.say(about(e, manifest.Digest, manifest.Digest))
	}
}

// doubt notes the tags that a push may have written although it did not end well. One that
// was denied wrote none, unless the registry denied the last of several.
func (s *statements) doubt(e ledger.Entry) {
	if e.Outcome == ledger.Denied && e.Gate == "" {
		return
	}
	for _, name := range slices.Concat(e.TagNames(), e.HeldTags) {
		name := about(e, name, e.Digest).name()
		s.unsure[name] = append(s.unsure[name], e.Digest)
	}
}

func (s *statements) say(said statement) {
	if name := said.name(); !s.seen[name] {
		s.seen[name] = true
		s.list = append(s.list, said)
	}
}

// about is what an entry says of a reference in its repository.
func about(e ledger.Entry, reference, digest string) statement {
	return statement{row: e.ID, registry: e.Registry, repository: e.Repository, reference: reference, digest: digest}
}
