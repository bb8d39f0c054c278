package credhelper

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// PerRPC gives a helper's headers to every call of a gRPC client
// (credentials.PerRPCCredentials).
type PerRPC struct {
	Helper *Helper
	// URI is what the helper is asked for: https://cache.example.
	URI string
	// Insecure also sends the headers over plain text.
	Insecure bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials. All headers are
// handed on, not Authorization alone; of several values gRPC takes one here.
func (p PerRPC) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	headers, err := p.Helper.Headers(ctx, p.URI)
	if err != nil {
		return nil, err
	}
	metadata := make(map[string]string, len(headers))
	for name, values := range headers {
		if len(values) > 0 {
			metadata[strings.ToLower(name)] = values[0]
		}
	}
	return metadata, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (p PerRPC) RequireTransportSecurity() bool { return !p.Insecure }

// Keychain finds a registry's credentials with a helper. A helper that gives no
// Authorization header leaves the registry to the next keychain.
type Keychain struct {
	Helper *Helper
}

// Resolve implements authn.Keychain.
func (k Keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (k Keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	headers, err := k.Helper.Headers(ctx, "https://"+target.RegistryStr()+"/v2/")
	if err != nil {
		return nil, err
	}
	var value string
	for name, values := range headers {
		if http.CanonicalHeaderKey(name) == "Authorization" && len(values) > 0 {
			value = values[0]
		}
	}
	scheme, credential, _ := strings.Cut(value, " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		return authn.FromConfig(authn.AuthConfig{RegistryToken: credential}), nil
	case "basic":
		return authn.FromConfig(authn.AuthConfig{Auth: credential}), nil
	}
	return authn.Anonymous, nil
}
