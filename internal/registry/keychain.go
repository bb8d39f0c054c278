package registry

import (
	"os"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/credentials"
)

// DefaultKeychain looks for credentials where people keep them: first in the
// keychains given, then in the configuration of docker and podman with its
// credential helpers, then in GITHUB_TOKEN for ghcr.io, then in Google's
// application default credentials and gcloud for Google's registries. Each
// answers for its own registries alone.
func DefaultKeychain(first ...authn.Keychain) credentials.Chain {
	return append(credentials.Chain(first), credentials.NewFiles(os.Getenv, os.UserHomeDir), credentials.GitHub{Getenv: os.Getenv}, credentials.NewGoogle())
}
