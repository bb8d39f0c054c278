package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/credentials"
)

// credentialLife is how long a keychain's answer is used: helpers are
// processes, and what they give may itself expire.
const credentialLife = 5 * time.Minute

// credentialLimit is how long a keychain may take. Those that we know have shorter
// limits of their own, and say more.
const credentialLimit = 2 * time.Minute

// credential is what a keychain found, and when.
type credential struct {
	credentials.Found

	at time.Time
}

// credentialError says that it could not be found out which credentials there are for a
// repository.
type credentialError struct {
	// Repository is that one, with its registry.
	Repository string
	Err        error
}

func (e *credentialError) Error() string {
	return fmt.Sprintf("find credentials for %s: %v", e.Repository, e.Err)
}

// Unwrap returns what went wrong.
func (e *credentialError) Unwrap() error { return e.Err }

// lastingCredentialError is a *credentialError that another try would meet again.
type lastingCredentialError struct{ *credentialError }

func (e *lastingCredentialError) Lasting() bool { return true }

func (e *lastingCredentialError) Unwrap() error { return e.credentialError }

// resource names a repository to a keychain.
type resource struct{ registry, repository string }

func (r resource) String() string { return strings.TrimSuffix(r.registry+"/"+r.repository, "/") }

func (r resource) RegistryStr() string { return r.registry }

// credential asks the keychain, seldom. Who asks for the same repository waits for one
// answer.
func (a *auth) credential(ctx context.Context, repository string) (*credential, error) {
	now := a.client.opts.Now()
	a.mu.Lock()
	known := a.repository(repository).cred
	a.mu.Unlock()
	if known != nil && now.Sub(known.at) < credentialLife {
		return known, nil
	}
	target := resource{a.registry, repository}
	found, err := a.finding.Do(ctx, repository, func(ctx context.Context) (credentials.Found, error) {
		return credentials.Find(ctx, a.client.opts.Keychain, target)
	})
	if err != nil {
		return nil, a.noCredential(ctx, target, err)
	}
	a.client.secrets.addCredential(found.AuthConfig)
	cred := &credential{Found: found, at: now}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.repository(repository).cred = cred
	return cred, nil
}

// noCredential is the error of a keychain. One that lasts is as final as a registry's
// refusal; any other may have passed when the image is tried again.
func (a *auth) noCredential(ctx context.Context, target resource, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("find credentials for %s: %w", target, context.Cause(ctx))
	}
	failed := &credentialError{Repository: target.String(), Err: errors.New(a.client.tell(err.Error(), false))}
	if !lasts(err) {
		return failed
	}
	return &Error{Op: "find credentials for " + target.String(), registry: a.registry, err: &lastingCredentialError{failed}}
}

func basicHeader(cred authn.AuthConfig) (header, kind string) {
	switch {
	case cred.RegistryToken != "":
		return "Bearer " + cred.RegistryToken, "with a registry token"
	case cred.Username != "" || cred.Password != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(cred.Username+":"+cred.Password)), "with a user name and password"
	case cred.Auth != "":
		return "Basic " + cred.Auth, "with a user name and password"
	}
	return "", anonymously
}

func tokenKind(cred authn.AuthConfig) string {
	if cred.IdentityToken != "" {
		return "with an identity token"
	}
	_, kind := basicHeader(cred)
	return kind
}
