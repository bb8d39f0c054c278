package credhelper

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/internal/credentials"
)

// PerRPC gives a helper's headers to every call of a gRPC client
// (credentials.PerRPCCredentials).
type PerRPC struct {
	Helper *Helper
	// Insecure also sends the headers over plain text.
	Insecure bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials. All headers are
// handed on, not Authorization alone; several values of one are joined.
func (p PerRPC) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	// gRPC names the service, as in https://cache.example/google.bytestream.ByteStream;
	// Bazel asks its helpers for the same.
	headers, err := p.Helper.Headers(ctx, strings.Join(uri, " "))
	if err != nil {
		// A plain error here would be UNAUTHENTICATED to gRPC, as if the server had
		// refused.
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	metadata := make(map[string]string, len(headers))
	for name, values := range headers {
		if len(values) > 0 {
			metadata[strings.ToLower(name)] = strings.Join(values, ",")
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
	return credentials.Authenticator(k.Find(ctx, target))
}

// Find implements credentials.Finder.
func (k Keychain) Find(ctx context.Context, target authn.Resource) (credentials.Found, error) {
	program := "credential helper " + k.Helper.path
	headers, err := k.Helper.Headers(ctx, "https://"+target.RegistryStr()+"/v2/")
	if err != nil {
		return credentials.Found{}, err
	}
	var value string
	for name, values := range headers {
		if http.CanonicalHeaderKey(name) == "Authorization" && len(values) > 0 {
			value = values[0]
		}
	}
	found := credentials.Found{Source: program, Looked: []string{program + " (none for " + target.RegistryStr() + ")"}}
	scheme, credential, _ := strings.Cut(value, " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		found.RegistryToken = credential
	case "basic":
		found.Auth = credential
		if decoded, err := base64.StdEncoding.DecodeString(credential); err == nil {
			found.Username, found.Password, _ = strings.Cut(string(decoded), ":")
		}
	}
	return found, nil
}
