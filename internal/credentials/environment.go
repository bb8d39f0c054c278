package credentials

import (
	"cmp"
	"context"

	"github.com/google/go-containerregistry/pkg/authn"
)

// GitHub finds a credential for ghcr.io in the environment of a GitHub action.
type GitHub struct {
	// Getenv reads a variable: [os.Getenv], for example.
	Getenv func(name string) string
}

// Find implements [finder].
func (g GitHub) Find(_ context.Context, target authn.Resource) (Found, error) {
	if target.RegistryStr() != "ghcr.io" {
		return Found{}, nil
	}
	token := g.Getenv("GITHUB_TOKEN")
	if token == "" {
		return Found{Looked: []string{"$GITHUB_TOKEN (not set)"}}, nil
	}
	return Found{
		AuthConfig: authn.AuthConfig{Username: cmp.Or(g.Getenv("GITHUB_ACTOR"), "unset"), Password: token},
		Source:     "$GITHUB_TOKEN", Looked: []string{"$GITHUB_TOKEN (set)"},
	}, nil
}

// Resolve implements [authn.Keychain].
func (g GitHub) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return Authenticator(g.Find(context.Background(), target))
}
