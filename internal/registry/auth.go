package registry

import (
	"context"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/credentials"
	"github.com/drayage/drayage/internal/flight"
	"github.com/drayage/drayage/internal/registry/pacer"
)

// maxRepositories bounds the repositories of which something is known.
const maxRepositories = 4096

// auth knows how to authenticate to one registry: which credentials, challenges and
// tokens there are for each of its repositories.
type auth struct {
	client   *Client
	host     *host
	registry string

	finding  flight.Group[credentials.Found]
	fetching flight.Group[*token]

	mu           sync.Mutex
	repositories map[string]*repositoryAuth
	// challenges are those that were met with a credential: what one repository asks for
	// in its challenge, another with the same credential is taken to ask for too. What is
	// secret of one is never sent where another was asked for.
	challenges map[authn.AuthConfig]challenge
	tokens     map[string]*token
	// services are the pauses of token services, by their addresses.
	services map[string]*pacer.Pauses
	// replaced are refresh tokens that a service gave in the place of others.
	replaced map[string]string
}

// repositoryAuth is what is known of one repository.
type repositoryAuth struct {
	// challenge is the last one of its own, or has no scheme.
	challenge challenge
	cred      *credential
	// scopes are those that its challenges ask for, by those that we need.
	scopes map[string][]string
}

// authorization is a header's value, and what is to be known of it.
type authorization struct {
	header string
	// kind is that of the credential, source where it comes from, looked where it was
	// looked for.
	kind, source string
	looked       []string

	// repository is which it is for, scheme that of the challenge that it meets, or "".
	repository, scheme string
	// scopes are those that were needed, key is the token's.
	scopes []string
	key    string
	// fixed tells that another one would be the same: it is a registry token, or none.
	fixed bool
}

const anonymously = "anonymously"

func newAuth(h *host) *auth {
	return &auth{
		client: h.client, host: h, registry: h.name.RegistryStr(),
		finding:      flight.Group[credentials.Found]{Limit: credentialLimit},
		fetching:     flight.Group[*token]{Limit: h.client.opts.maxWait + tokenTimeout + time.Second},
		repositories: map[string]*repositoryAuth{}, challenges: map[authn.AuthConfig]challenge{}, tokens: map[string]*token{},
		services: map[string]*pacer.Pauses{}, replaced: map[string]string{},
	}
}

// repository is what is known of one. a.mu is held.
func (a *auth) repository(name string) *repositoryAuth {
	r := a.repositories[name]
	if r == nil {
		makeRoom(a.repositories, maxRepositories)
		r = &repositoryAuth{}
		a.repositories[name] = r
	}
	return r
}

// makeRoom drops any entries of a map that is full.
func makeRoom[K comparable, V any](m map[K]V, limit int) {
	for key := range m {
		if len(m) < limit {
			return
		}
		delete(m, key)
	}
}

// authorize is what to send with a request that needs the scopes.
func (a *auth) authorize(ctx context.Context, scopes []string) (authorization, error) {
	name := repositoryOf(scopes)
	used := authorization{kind: anonymously, repository: name, scopes: scopes}
	a.mu.Lock()
	c := a.repository(name).challenge
	met := len(a.challenges) > 0
	a.mu.Unlock()
	if c.scheme == "" && !met {
		return used, nil // nobody has asked
	}
	cred, err := a.credential(ctx, name)
	if err != nil {
		return used, err
	}
	a.mu.Lock()
	if c.scheme == "" {
		c = a.challenges[cred.AuthConfig]
	} else {
		a.remember(cred, c)
	}
	a.mu.Unlock()
	used.scheme, used.source, used.looked = c.scheme, cred.Source, cred.Looked
	switch {
	case c.scheme == "":
		return used, nil
	case cred.RegistryToken != "":
		used.header, used.kind, used.fixed = "Bearer "+cred.RegistryToken, "with a registry token", true
		return used, nil
	case c.scheme == "basic":
		used.header, used.kind = basicHeader(cred.AuthConfig)
		used.fixed = true
		return used, nil
	}
	return a.bearer(ctx, used, c, cred)
}
