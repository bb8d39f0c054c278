package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/flight"
)

// maxTokens bounds the tokens kept for one registry.
const maxTokens = 4096

// token is a bearer token.
type token struct {
	value    string
	expires  time.Time
	renew    time.Time
	renewing bool
}

// bearer is a token for the scopes: one that is known, or else a new one. Who
// needs the same token waits for it.
func (a *auth) bearer(ctx context.Context, used authorization, c challenge, cred *credential) (authorization, error) {
	used.kind = "with a bearer token got " + tokenKind(cred.AuthConfig)
	a.mu.Lock()
	asked := a.repository(used.repository).scopes[strings.Join(used.scopes, " ")]
	a.mu.Unlock()
	if asked == nil {
		asked = used.scopes
	}
	used.key = tokenKey(c, asked, cred.AuthConfig)
	if value, ok := a.usable(used.key, c, asked, cred); ok {
		used.header = "Bearer " + value
		return used, nil
	}
	t, err := a.fetching.Do(ctx, used.key, func(ctx context.Context) (*token, error) { return a.fetch(ctx, used.key, c, asked, cred) })
	if err != nil {
		if _, ok := errors.AsType[*flight.LimitError](err); ok {
			err = &Error{Op: "get a token", registry: a.registry, err: &trouble{text: "named a token service that gave " + err.Error(), err: err}}
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("get a token for registry %s: %w", a.registry, context.Cause(ctx))
		}
		return used, err
	}
	used.header = "Bearer " + t.value
	return used, nil
}

// tokenKey is what makes a token another one.
func tokenKey(c challenge, scopes []string, cred authn.AuthConfig) string {
	return strings.Join([]string{
		c.params["realm"], c.params["service"], strings.Join(scopes, " "), cred.Username, cred.Password, cred.Auth, cred.IdentityToken,
	}, "\x00")
}

// usable is a token's value while it is valid. A token in the last third of
// its life is renewed in the background, so that nobody has to wait for it.
func (a *auth) usable(key string, c challenge, scopes []string, cred *credential) (string, bool) {
	now := a.client.opts.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tokens[key]
	if t == nil || !now.Before(t.expires) {
		return "", false
	}
	if now.After(t.renew) && !t.renewing {
		t.renewing = true
		a.client.background.Go(func() {
			_, err := a.fetching.Do(a.client.lifetime, key, func(ctx context.Context) (*token, error) { return a.fetch(ctx, key, c, scopes, cred) })
			if err != nil && a.client.lifetime.Err() == nil {
				a.client.opts.Logger.Warn().Err(err).Str("registry", a.registry).Msg("renewal of a registry token failed")
			}
			a.mu.Lock()
			t.renewing = false
			a.mu.Unlock()
		})
	}
	return t.value, true
}

// fetch gets a token from the registry's token service.
func (a *auth) fetch(ctx context.Context, key string, c challenge, scopes []string, cred *credential) (*token, error) {
	realm, err := a.realm(c)
	if err != nil {
		return nil, err
	}
	x := &tokenRequest{auth: a, realm: realm, service: c.params["service"], scopes: scopes, cred: cred}
	trial, err := a.awaitService(ctx, x)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, tokenTimeout, &flight.LimitError{Limit: tokenTimeout})
	defer cancel()
	asked := a.client.opts.Now()
	got, err := x.run(ctx)
	a.noteService(x, trial, err)
	if err != nil {
		return nil, err
	}
	a.client.secrets.add(got.token, got.refresh)
	t := &token{
		value: got.token,
		// A request may take a while to arrive: a token is not used to its last moment.
		expires: asked.Add(got.life - min(got.life/5, 10*time.Second)),
		renew:   asked.Add(got.life * 2 / 3),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.tokens) >= maxTokens {
		a.dropTokens()
	}
	a.tokens[key] = t
	return t, nil
}

// dropTokens makes room: expired tokens go first, then any. a.mu is held.
func (a *auth) dropTokens() {
	now := a.client.opts.Now()
	for key, t := range a.tokens {
		if !now.Before(t.expires) {
			delete(a.tokens, key)
		}
	}
	makeRoom(a.tokens, maxTokens)
}
