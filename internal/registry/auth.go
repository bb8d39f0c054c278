package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// credentialLife is how long a keychain's answer is used: helpers are
	// processes, and what they give may itself expire.
	credentialLife = 5 * time.Minute

	// tokenLife is the lifetime of a token whose service does not tell it
	// (distribution's token specification, "expires_in").
	tokenLife = time.Minute

	// maxTokens bounds the tokens kept for one registry.
	maxTokens = 4096

	tokenTimeout = 30 * time.Second
)

// auth knows how to authenticate to one registry.
type auth struct {
	client   *Client
	registry name.Registry
	insecure bool

	mu        sync.Mutex
	challenge challenge
	credAt    time.Time
	cred      *authn.AuthConfig
	tokens    map[string]*token
}

// token is a bearer token for a set of scopes, or the fetching of one.
type token struct {
	mu sync.Mutex // held while the token is fetched
	// value, expires and renew are read with mu of auth held.
	value    string
	expires  time.Time
	renew    time.Time
	renewing bool
}

// authorization is a header's value, and the kind of credential that it is.
type authorization struct {
	header string
	kind   string
	key    string
}

const anonymously = "anonymously"

func newAuth(c *Client, registry name.Registry, insecure bool) *auth {
	return &auth{client: c, registry: registry, insecure: insecure, tokens: map[string]*token{}}
}

// learn takes note of a 401. It tells whether another try makes sense: there is
// a challenge that can be met, and used did not just meet it.
func (a *auth) learn(header http.Header, used authorization) bool {
	c, ok := pickChallenge(header)
	if !ok {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.challenge.scheme == c.scheme
	a.challenge = c
	if c.scheme == "basic" {
		// Credentials that were refused may have been replaced since.
		stale := a.client.opts.Now().Sub(a.credAt) > time.Second
		a.cred = nil
		return !known || used.header == "" || stale
	}
	if t := a.tokens[used.key]; t != nil && "Bearer "+t.value == used.header {
		t.value = ""
	}
	return true
}

// authorize is what to send with a request that needs the scopes.
func (a *auth) authorize(ctx context.Context, scopes []string) (authorization, error) {
	a.mu.Lock()
	c := a.challenge
	a.mu.Unlock()
	switch c.scheme {
	case "basic":
		cred, err := a.credential(ctx)
		if err != nil {
			return authorization{}, err
		}
		header, kind := basicHeader(cred)
		return authorization{header: header, kind: kind}, nil
	case "bearer":
		return a.bearer(ctx, scopes)
	}
	return authorization{kind: anonymously}, nil
}

func basicHeader(cred *authn.AuthConfig) (header, kind string) {
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

// credential asks the keychain, seldom.
func (a *auth) credential(ctx context.Context) (*authn.AuthConfig, error) {
	now := a.client.opts.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cred != nil && now.Sub(a.credAt) < credentialLife {
		return a.cred, nil
	}
	found, err := authn.Resolve(ctx, a.client.opts.Keychain, a.registry)
	if err != nil {
		return nil, fmt.Errorf("find credentials for registry %s: %w", a.registry, err)
	}
	cred, err := authn.Authorization(ctx, found)
	if err != nil {
		return nil, fmt.Errorf("find credentials for registry %s: %w", a.registry, err)
	}
	if cred == nil {
		cred = &authn.AuthConfig{}
	}
	a.cred, a.credAt = cred, now
	return cred, nil
}

// bearer is a token for the scopes: one that is known, or else a new one. Who
// needs the same token waits for it; if fetching it fails, the next one tries.
func (a *auth) bearer(ctx context.Context, scopes []string) (authorization, error) {
	cred, err := a.credential(ctx)
	if err != nil {
		return authorization{}, err
	}
	kind := "with a bearer token got " + tokenKind(cred)
	if cred.RegistryToken != "" {
		return authorization{header: "Bearer " + cred.RegistryToken, kind: "with a registry token"}, nil
	}
	key := strings.Join(scopes, " ")
	t := a.token(key)
	if value, ok := a.usable(t, scopes); ok {
		return authorization{header: "Bearer " + value, kind: kind, key: key}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if value, ok := a.usable(t, scopes); ok {
		return authorization{header: "Bearer " + value, kind: kind, key: key}, nil
	}
	value, err := a.fetch(ctx, t, cred, scopes)
	if err != nil {
		return authorization{}, err
	}
	return authorization{header: "Bearer " + value, kind: kind, key: key}, nil
}

func tokenKind(cred *authn.AuthConfig) string {
	if cred.IdentityToken != "" {
		return "with an identity token"
	}
	_, kind := basicHeader(cred)
	return kind
}

func (a *auth) token(key string) *token {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tokens[key]
	if t == nil {
		if len(a.tokens) >= maxTokens {
			a.dropTokens()
		}
		t = &token{}
		a.tokens[key] = t
	}
	return t
}

// dropTokens makes room: expired tokens go first, then any.
func (a *auth) dropTokens() {
	now := a.client.opts.Now()
	for key, t := range a.tokens {
		if !now.Before(t.expires) {
			delete(a.tokens, key)
		}
	}
	for key := range a.tokens {
		if len(a.tokens) < maxTokens {
			return
		}
		delete(a.tokens, key)
	}
}

// usable is the token's value while it is valid. A token in the last third of
// its life is renewed in the background, so that nobody has to wait for it.
func (a *auth) usable(t *token, scopes []string) (string, bool) {
	now := a.client.opts.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if t.value == "" || !now.Before(t.expires) {
		return "", false
	}
	if now.After(t.renew) && !t.renewing && a.cred != nil {
		t.renewing = true
		cred := a.cred
		a.client.background.Go(func() {
			ctx, cancel := context.WithTimeout(a.client.lifetime, tokenTimeout)
			defer cancel()
			t.mu.Lock()
			defer t.mu.Unlock()
			if _, err := a.fetch(ctx, t, cred, scopes); err != nil {
				a.client.opts.Logger.Warn().Err(err).Str("registry", a.registry.String()).Msg("renewal of a registry token failed")
			}
			a.mu.Lock()
			t.renewing = false
			a.mu.Unlock()
		})
	}
	return t.value, true
}

// fetch gets a token from the registry's token service. t.mu is held.
func (a *auth) fetch(ctx context.Context, t *token, cred *authn.AuthConfig, scopes []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	a.mu.Lock()
	c := a.challenge
	a.mu.Unlock()
	asked := a.client.opts.Now()
	got, err := transport.Exchange(ctx, a.registry, authn.FromConfig(*cred), a.client.opts.Transport, scopes,
		&transport.Challenge{Scheme: c.scheme, Parameters: c.params, Insecure: a.insecure})
	if err != nil {
		return "", a.tokenError(ctx, err, cred)
	}
	value := got.AccessToken
	if value == "" {
		value = got.Token
	}
	life := time.Duration(got.ExpiresIn) * time.Second
	if life <= 0 {
		life = tokenLife
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t.value = value
	// A request may take a while to arrive: a token is not used to its last moment.
	t.expires = asked.Add(life - min(life/5, 10*time.Second))
	t.renew = asked.Add(life * 2 / 3)
	return value, nil
}

func (a *auth) tokenError(ctx context.Context, err error, cred *authn.AuthConfig) error {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return fmt.Errorf("get a token for registry %s: %w", a.registry, context.Cause(ctx))
	}
	// The library has no type for it.
	if strings.Contains(err.Error(), "www-authenticate") {
		return &RealmError{Registry: a.registry.RegistryStr(), Err: err}
	}
	e := &Error{Op: "get a token", Registry: a.registry.RegistryStr(), Credential: tokenKind(cred), Err: err}
	if answered, ok := errors.AsType[*transport.Error](err); ok {
		e.Status, e.Err = answered.StatusCode, nil
		for _, d := range answered.Errors {
			e.Codes = append(e.Codes, string(d.Code))
			e.Message = clip(d.Message)
		}
	}
	return e
}

// pushScopes are the scopes to write to a repository, and to mount from others.
func pushScopes(repository string, mountFrom ...string) []string {
	scopes := []string{"repository:" + repository + ":pull,push"}
	for _, from := range mountFrom {
		if from != "" && from != repository {
			scopes = append(scopes, "repository:"+from+":pull")
		}
	}
	slices.Sort(scopes[1:])
	return scopes
}
