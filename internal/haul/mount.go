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
	if !s.to.Mounts() {
		return ""
	}
	return s.hauler.presence.repositoryOf(s.at, blob.Digest, func(from string) bool { return s.mayMount(from, blob) })
}

// mayMount tells whether this push may have a blob mounted from a repository that its spec
// does not name. That others have brought it there gives nobody a right to it, and that
// the cache has it neither: who pushes need not be who may read the cache.
func (s *shipment) mayMount(from string, blob pushspec.Blob) bool {
	return from == s.to.Name() || s.hasShown(blob) || s.mayMountFrom(from)
}

// mayMountFrom tells whether this push may have any blob mounted from a repository.
func (s *shipment) mayMountFrom(from string) bool {
	return s.request.MayMount == nil || s.request.MayMount(from)
}

// hasShown tells whether the push's client has shown the bytes of a blob: the spec has
// them, or they were read for an earlier push.
func (s *shipment) hasShown(blob pushspec.Blob) bool {
	return blob.Data != nil || s.hauler.shown.by(s.request.Client, blob.Digest)
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
