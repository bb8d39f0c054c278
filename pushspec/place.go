package pushspec

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Place is the destination's registry and repository under the names that they have
// for everybody: hosts are lower case, and Docker Hub's many names are one. What is in
// one place is compared under these.
func (d Destination) Place() (registry, repository string) {
	host := strings.ToLower(d.Registry)
	repo, err := name.NewRepository(host + "/" + d.Repository)
	if err != nil {
		return host, d.Repository
	}
	return repo.RegistryStr(), repo.RepositoryStr()
}
