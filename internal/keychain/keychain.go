// Package keychain finds the daemon's credentials for registries. It is not a part of
// internal/registry because the SDKs of cloud providers are large, and the tool that
// build actions run does not need them.
package keychain

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/credentials"
	"github.com/drayage/drayage/internal/registry"
)

// New returns a keychain that looks where [registry.DefaultKeychain] does. For a
// registry of a cloud it then uses the daemon's own identity in that cloud: for ECR, by
// AWS's default chain (environment, profile, web identity, instance), for ACR, by
// Azure's (environment, workload identity, managed identity, az).
func New(first ...authn.Keychain) credentials.Chain {
	return append(registry.DefaultKeychain(first...),
		newProvider("ECR", "give the daemon an AWS identity that may call ecr:GetAuthorizationToken, or add credentials to its docker configuration", isECR, getECR),
		newProvider("ACR", "give the daemon an Azure identity with the role AcrPush, or add credentials to its docker configuration", isACR, exchange{}.get),
	)
}

// isACR tells whether a host is a registry of Azure, in any of its clouds.
func isACR(host string) bool {
	for _, suffix := range []string{".azurecr.io", ".azurecr.cn", ".azurecr.us", ".azurecr.de"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}
