// Package keychain finds the daemon's credentials for registries. It is apart from
// internal/registry because the SDKs of cloud providers are large, and the tool that
// build actions run has no use for them.
package keychain

import (
	"context"
	"fmt"
	"io"
	"strings"

	ecr "github.com/awslabs/amazon-ecr-credential-helper/ecr-login"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/registry"
)

// New looks where [registry.DefaultKeychain] does, and then asks the provider of a
// cloud's registry for what the daemon's own identity may have: ECR by AWS's default
// chain (environment, profile, web identity, instance), ACR by Azure's (environment,
// workload identity, managed identity, az).
func New(first ...authn.Keychain) authn.Keychain {
	helper := ecr.NewECRHelper(ecr.WithLogger(io.Discard))
	return authn.NewMultiKeychain(
		registry.DefaultKeychain(first...),
		provider{
			name: "ECR", serves: isECR,
			hint: "give the daemon an AWS identity that may call ecr:GetAuthorizationToken, or put credentials into its docker configuration",
			get: func(_ context.Context, host string) (authn.AuthConfig, error) {
				user, password, err := helper.Get(host)
				return authn.AuthConfig{Username: user, Password: password}, err
			},
		},
		provider{
			name: "ACR", serves: isACR,
			hint: "give the daemon an Azure identity with the role AcrPush, or put credentials into its docker configuration",
			get:  exchange{}.get,
		},
	)
}

// isECR tells whether a host is a private registry of Amazon's.
func isECR(host string) bool {
	return strings.Contains(host, ".dkr.ecr") && (strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn") || strings.HasSuffix(host, ".on.aws"))
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

// provider answers for one cloud's registries alone.
type provider struct {
	name, hint string
	serves     func(host string) bool
	get        func(ctx context.Context, host string) (authn.AuthConfig, error)
}

// Resolve implements [authn.Keychain].
func (p provider) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return p.ResolveContext(context.Background(), target)
}

// ResolveContext implements [authn.ContextKeychain]. An identity that cannot be had is
// an error: asked anonymously, the registry would refuse with less to go by.
func (p provider) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	host := target.RegistryStr()
	if !p.serves(host) {
		return authn.Anonymous, nil
	}
	found, err := p.get(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("get credentials from %s: %w; %s", p.name, err, p.hint)
	}
	return authn.FromConfig(found), nil
}
