package pushspec

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Address returns the destination's registry and repository under their canonical names: see
// [CanonicalRegistry]. Compare destinations by these.
func (d Destination) Address() (registry, repository string) {
	host, err := CanonicalRegistry(d.Registry)
	if err != nil {
		return strings.ToLower(d.Registry), d.Repository
	}
	repo, err := name.NewRepository(host + "/" + d.Repository)
	if err != nil {
		return host, d.Repository
	}
	return host, repo.RepositoryStr()
}
