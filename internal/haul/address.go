package haul

import v1 "github.com/google/go-containerregistry/pkg/v1"

// address is a repository of a registry.
type address struct{ registry, repository string }

// digestAt is a digest in a repository. With no repository it stands for any of the
// registry's.
type digestAt struct {
	address
	digest v1.Hash
}

// anywhere is a digest in any repository of the registry.
func (a address) anywhere(digest v1.Hash) digestAt {
	return digestAt{address{registry: a.registry}, digest}
}
