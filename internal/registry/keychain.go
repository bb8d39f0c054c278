package registry

import (
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/authn/github"
	"github.com/google/go-containerregistry/pkg/v1/google"
)

// DefaultKeychain looks for credentials where people keep them: first in the
// keychains given, then in the docker and podman configuration with its
// credential helpers, then in GITHUB_TOKEN for ghcr.io, then in Google's
// application default credentials and gcloud for Google's registries. Each
// answers for its own registries alone.
func DefaultKeychain(first ...authn.Keychain) authn.Keychain {
	return authn.NewMultiKeychain(append(first, authn.DefaultKeychain, github.Keychain, google.Keychain)...)
}
