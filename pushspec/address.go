package pushspec

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Address returns the destination's registry and repository under their canonical names:
// hosts are lower case, and Docker Hub has one name. Compare destinations by these.
func (d Destination) Address() (registry, repository string) {
	host := strings.ToLower(d.Registry)
	repo, err := name.NewRepository(host + "/" + d.Repository)
	if err != nil {
		return host, d.Repository
	}
	return repo.RegistryStr(), repo.RepositoryStr()
}
