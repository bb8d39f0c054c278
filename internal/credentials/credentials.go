// Package credentials finds the credentials for a repository where people keep them:
// configuration files, credential helpers, the environment. It says where it looked,
// and every question has a time limit.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Found is the result of a search. Without a credential it still says where the search
// looked.
type Found struct {
	authn.AuthConfig

	// Source is where the credential comes from: `"ghcr.io/acme" in
	// ~/.docker/config.json`. Never the credential itself.
	Source string
	// Looked lists where the search looked, in order, and what it found there.
	Looked []string
}

// Anonymous tells whether there is no credential.
func (f Found) Anonymous() bool { return f.AuthConfig == authn.AuthConfig{} }

// finder is a keychain that says where it looked.
type finder interface {
	authn.Keychain
	Find(ctx context.Context, target authn.Resource) (Found, error)
}

// lookupError says that a place could not be asked, or has content that is not valid.
type lookupError struct {
	// text says what is wrong and what to do. It contains no secret.
	text string
	// lasts tells whether another try would fail in the same way.
	lasts bool
	err   error
}

func (e *lookupError) Error() string { return e.text }

func (e *lookupError) Unwrap() error { return e.err }

// Lasting tells whether another try would fail in the same way.
func (e *lookupError) Lasting() bool { return e.lasts }

// Find asks a keychain of any kind.
func Find(ctx context.Context, keychain authn.Keychain, target authn.Resource) (Found, error) {
	if finder, ok := keychain.(finder); ok {
		return finder.Find(ctx, target)
	}
	authenticator, err := authn.Resolve(ctx, keychain, target)
	if err != nil {
		return Found{}, err
	}
	config, err := authn.Authorization(ctx, authenticator)
	if err != nil || config == nil {
		return Found{}, err
	}
	return Found{AuthConfig: *config}, nil
}

// Chain asks one keychain after another. The first credential wins. The error of a
// keychain counts only if no later keychain has a credential.
type Chain []authn.Keychain

// Find implements [finder].
func (c Chain) Find(ctx context.Context, target authn.Resource) (Found, error) {
	var all Found
	var failures []error
	for _, keychain := range c {
		found, err := Find(ctx, keychain, target)
		all.Looked = append(all.Looked, found.Looked...)
		if err != nil {
			if ctx.Err() != nil {
				return all, context.Cause(ctx)
			}
			failures = append(failures, err)
			continue
		}
		if !found.Anonymous() {
			found.Looked = all.Looked
			return found, nil
		}
	}
	return all, joined(failures)
}

// joined is one error of several. It lasts if all of them do.
func joined(failures []error) error {
	if len(failures) < 2 {
		return errors.Join(failures...)
	}
	texts := make([]string, len(failures))
	for i, err := range failures {
		texts[i] = err.Error()
	}
	passing := slices.ContainsFunc(failures, func(err error) bool { return !lasting(err) })
	return &lookupError{text: strings.Join(texts, "; "), lasts: !passing, err: errors.Join(failures...)}
}

// lasting tells whether an error, or what it wraps, says that it lasts.
func lasting(err error) bool {
	said, ok := errors.AsType[interface {
		error
		Lasting() bool
	}](err)
	return ok && said.Lasting()
}

// Resolve implements [authn.Keychain].
func (c Chain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return c.ResolveContext(context.Background(), target)
}

// ResolveContext implements [authn.ContextKeychain].
func (c Chain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	return Authenticator(c.Find(ctx, target))
}

// Authenticator turns the result of a search into the result of a keychain.
func Authenticator(found Found, err error) (authn.Authenticator, error) {
	if err != nil {
		return nil, fmt.Errorf("find credentials: %w", err)
	}
	if found.Anonymous() {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(found.AuthConfig), nil
}
