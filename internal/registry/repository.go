package registry

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Caller is on whose behalf a repository is written to.
type Caller struct {
	// Invocation is the build; requests of several builds take turns.
	Invocation string
	// Requests counts what is sent to registries, token services apart. It may be
	// nil.
	Requests *atomic.Int64
}

// Repository is the view that a caller has of a repository.
type Repository struct {
	host   *host
	name   string
	caller Caller
}

// Repository is the repository of that name in a registry: "ghcr.io",
// "acme/app".
func (c *Client) Repository(registry, repository string, caller Caller) (*Repository, error) {
	host, err := HostName(registry)
	if err != nil {
		return nil, fmt.Errorf("find repository %s/%s: %w", registry, repository, err)
	}
	repo, err := name.NewRepository(host+"/"+repository, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("find repository %s/%s: %w", registry, repository, err)
	}
	return &Repository{host: c.host(repo.Registry), name: repo.RepositoryStr(), caller: caller}, nil
}

// Registry is the name of the host as the client knows it: Docker Hub's many are
// one.
func (r *Repository) Registry() string { return r.host.name.RegistryStr() }

// Name is the repository's name in its registry.
func (r *Repository) Name() string { return r.name }

func (r *Repository) String() string { return r.Registry() + "/" + r.name }

func (r *Repository) manifestURL(reference string) string {
	return r.host.base + "/v2/" + r.name + "/manifests/" + reference
}

func (r *Repository) blobURL(digest v1.Hash) string {
	return r.host.base + "/v2/" + r.name + "/blobs/" + digest.String()
}

func (r *Repository) uploadsURL() string { return r.host.base + "/v2/" + r.name + "/blobs/uploads/" }

// at joins a reference to a repository's name, as people write it.
func at(reference string) string {
	if strings.Contains(reference, ":") {
		return "@" + reference
	}
	return ":" + reference
}
