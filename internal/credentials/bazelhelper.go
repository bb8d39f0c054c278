package credentials

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/credhelper"
)

// BazelHelper finds a registry's credentials with a helper of Bazel's protocol.
// If the helper gives no Authorization header, the next keychain is asked.
type BazelHelper struct {
	path   string
	helper *credhelper.Helper
}

// NewBazelHelper makes a keychain that runs the program at path.
func NewBazelHelper(path string) *BazelHelper {
	return &BazelHelper{path: path, helper: credhelper.New(path, nil)}
}

// Find implements [finder].
func (b *BazelHelper) Find(ctx context.Context, target authn.Resource) (Found, error) {
	host := target.RegistryStr()
	headers, err := b.helper.Headers(ctx, "https://"+host+"/v2/")
	if err != nil {
		return Found{}, err
	}
	program := "credential helper " + b.path
	found := Found{Source: program, Looked: []string{program + " (none for " + host + ")"}}
	scheme, credential, _ := strings.Cut(authorization(headers), " ")
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

// Resolve implements [authn.Keychain].
func (b *BazelHelper) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return Authenticator(b.Find(context.Background(), target))
}

// authorization is the value of the Authorization header, whose name helpers write in
// any case.
func authorization(headers map[string][]string) string {
	for name, values := range headers {
		if http.CanonicalHeaderKey(name) == "Authorization" && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}
