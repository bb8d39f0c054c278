package haul

import (
	"github.com/drayage/drayage/pushspec"
)

// maxMountProbe is the size in bytes up to which a mount is the cheapest way to ask
// whether a blob is there. For a larger one a lookup is nothing against the
// bytes that it may save.
const maxMountProbe = 4 << 20

// knownMount is a repository that is known to have a blob, and that it may be mounted
// from, or "".
func (s *shipment) knownMount(blob pushspec.Blob) string {
	from := s.hauler.presence.repositoryOf(s.at, blob.Digest)
	if !s.to.Mounts() || from == "" || !s.mayMount(from, blob) {
		return ""
	}
	return from
}

// mayMount tells whether this push may have a blob from a repository that its spec does
// not name: because it has it anyway, or may have what is there.
func (s *shipment) mayMount(from string, blob pushspec.Blob) bool {
	return s.request.MayMount == nil || from == s.to.Name() || blob.Data != nil || s.cached.has(blob) || s.request.MayMount(from)
}

// mountable is the repository to ask for a blob first: one that the spec names,
// or the destination itself, which tells whether it is there already.
func (s *shipment) mountable(blob pushspec.Blob) string {
	if from := s.elsewhere(blob); from != "" {
		return from
	}
	if s.to.MountsItself(blob.Size <= maxMountProbe) {
		return s.to.Name()
	}
	return ""
}

// elsewhere is another repository of the registry that is said to have a blob, or "".
func (s *shipment) elsewhere(blob pushspec.Blob) string {
	if !s.to.Mounts() {
		return ""
	}
	for _, source := range blob.Sources {
		if from, ok := s.sameRegistry(source); ok && from != s.to.Name() {
			return from
		}
	}
	if from := s.claim.Elsewhere[blob.Digest.String()]; from != "" && from != s.to.Name() && s.mayMount(from, blob) {
		return from
	}
	return ""
}
