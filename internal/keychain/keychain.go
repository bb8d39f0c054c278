// Package keychain finds the daemon's credentials for registries. It is apart from
// internal/registry because the SDKs of cloud providers are large, and the tool that
// build actions run has no use for them.
package keychain

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/credentials"
	"github.com/drayage/drayage/internal/registry"
)

// New looks where [registry.DefaultKeychain] does, and then asks the provider of a
// cloud's registry for what the daemon's own identity may have: ECR by AWS's default
// chain (environment, profile, web identity, instance), ACR by Azure's (environment,
// workload identity, managed identity, az).
func New(first ...authn.Keychain) credentials.Chain {
	return append(registry.DefaultKeychain(first...),
		newProvider("ECR", "give the daemon an AWS identity that may call ecr:GetAuthorizationToken, or put credentials into its docker configuration", isECR, getECR),
		newProvider("ACR", "give the daemon an Azure identity with the role AcrPush, or put credentials into its docker configuration", isACR, exchange{}.get),
	)
}

// isACR tells whether a host is a registry of Azure's, in any of its clouds.
func isACR(host string) bool {
	for _, suffix := range []string{".azurecr.io", ".azurecr.cn", ".azurecr.us", ".azurecr.de"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}
