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

	"github.com/drayage/drayage/internal/credentials"
	"github.com/drayage/drayage/internal/flight"
)

const (
	// credentialLife is how long a keychain's answer is used: helpers are
	// processes, and what they give may itself expire.
	credentialLife = 5 * time.Minute

	// credentialLimit is how long a keychain may take. Those that we know have shorter
	// limits of their own, and say more.
	credentialLimit = 2 * time.Minute

	// maxTokens bounds the tokens kept for one registry, and maxRepositories the
	// repositories of which something is known.
	maxTokens       = 4096
	maxRepositories = 4096
	// maxScopeSets bounds the sets of scopes that a repository's challenges ask for.
	maxScopeSets = 64
	// maxRotated bounds the refresh tokens that came in the place of others.
	maxRotated = 256
)

// auth knows how to authenticate to one registry: which credentials, challenges and
// tokens there are for each of its repositories.
type auth struct {
	client   *Client
	host     *host
	registry string

	finding  flight.Group[credentials.Found]
	fetching flight.Group[*token]

	mu           sync.Mutex
	repositories map[string]*repositoryAuth
	// challenges are those that were met with a credential: what one repository asks for
	// in its challenge, another with the same credential is taken to ask for too. What is
	// secret of one is never sent where another was asked for.
	challenges map[authn.AuthConfig]challenge
	tokens     map[string]*token
	// patience is until when a token service, by its address, is not to be asked.
	patience map[string]time.Time
	// replaced are refresh tokens that a service gave in the place of others.
	replaced map[string]string
}

// repositoryAuth is what is known of one repository.
type repositoryAuth struct {
	// challenge is the last one of its own, or has no scheme.
	challenge challenge
	cred      *credential
	// scopes are those that its challenges ask for, by those that we need.
	scopes map[string][]string
}

// credential is what a keychain found, and when.
type credential struct {
	credentials.Found

	at time.Time
}

// token is a bearer token.
type token struct {
	value    string
	expires  time.Time
	renew    time.Time
	renewing bool
}

// authorization is a header's value, and what is to be known of it.
type authorization struct {
	header string
	// kind is that of the credential, source where it comes from, looked where it was
	// looked for.
	kind, source string
	looked       []string

	// repository is which it is for, scheme that of the challenge that it meets, or "".
	repository, scheme string
	// scopes are those that were needed, key is the token's.
	scopes []string
	key    string
	// fixed tells that another one would be the same: it is a registry token, or none.
	fixed bool
}

const anonymously = "anonymously"

func newAuth(h *host) *auth {
	return &auth{
		client: h.client, host: h, registry: h.name.RegistryStr(),
		finding:      flight.Group[credentials.Found]{Limit: credentialLimit},
		fetching:     flight.Group[*token]{Limit: h.client.opts.MaxWait + tokenTimeout + time.Second},
		repositories: map[string]*repositoryAuth{}, challenges: map[authn.AuthConfig]challenge{}, tokens: map[string]*token{},
		patience: map[string]time.Time{}, replaced: map[string]string{},
	}
}

// repository is what is known of one. a.mu is held.
func (a *auth) repository(name string) *repositoryAuth {
	r := a.repositories[name]
	if r == nil {
		makeRoom(a.repositories, maxRepositories)
		r = &repositoryAuth{}
		a.repositories[name] = r
	}
	return r
}

// makeRoom drops any entries of a map that is full.
func makeRoom[K comparable, V any](m map[K]V, limit int) {
	for key := range m {
		if len(m) < limit {
			return
		}
		delete(m, key)
	}
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
	r := a.repository(used.repository)
	r.challenge = c
	if r.cred != nil {
		a.remember(r.cred, c)
	}
	if c.scheme == "bearer" {
		if asked := challengedScopes(used.scopes, c.params["scope"]); len(used.scopes) > 0 && !slices.Equal(asked, sorted(used.scopes)) {
			if r.scopes == nil {
				r.scopes = map[string][]string{}
			}
			makeRoom(r.scopes, maxScopeSets)
			r.scopes[strings.Join(used.scopes, " ")] = asked
		}
	}
	if used.scheme == "bearer" && !used.fixed {
		if t := a.tokens[used.key]; t != nil && used.header == "Bearer "+t.value {
			delete(a.tokens, used.key)
		}
		return true
	}
	if used.scheme != c.scheme {
		return true
	}
	// Credentials that were refused may have been replaced since.
	stale := r.cred != nil && a.client.opts.Now().Sub(r.cred.at) > time.Second
	if stale {
		r.cred = nil
	}
	return stale
}

func sorted(scopes []string) []string {
	scopes = slices.Clone(scopes)
	slices.Sort(scopes)
	return scopes
}

// remember notes the challenge that a credential meets. a.mu is held.
func (a *auth) remember(cred *credential, c challenge) {
	if _, known := a.challenges[cred.AuthConfig]; !known {
		makeRoom(a.challenges, maxRepositories)
	}
	a.challenges[cred.AuthConfig] = c
}

// authorize is what to send with a request that needs the scopes.
func (a *auth) authorize(ctx context.Context, scopes []string) (authorization, error) {
	name := repositoryOf(scopes)
	used := authorization{kind: anonymously, repository: name, scopes: scopes}
	a.mu.Lock()
	c := a.repository(name).challenge
	met := len(a.challenges) > 0
	a.mu.Unlock()
	if c.scheme == "" && !met {
		return used, nil // nobody has asked
	}
	cred, err := a.credential(ctx, name)
	if err != nil {
		return used, err
	}
	a.mu.Lock()
	if c.scheme == "" {
		c = a.challenges[cred.AuthConfig]
	} else {
		a.remember(cred, c)
	}
	a.mu.Unlock()
	used.scheme, used.source, used.looked = c.scheme, cred.Source, cred.Looked
	switch {
	case c.scheme == "":
		return used, nil
	case cred.RegistryToken != "":
		used.header, used.kind, used.fixed = "Bearer "+cred.RegistryToken, "with a registry token", true
		return used, nil
	case c.scheme == "basic":
		used.header, used.kind = basicHeader(cred.AuthConfig)
		used.fixed = true
		return used, nil
	}
	return a.bearer(ctx, used, c, cred)
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

// resource names a repository to a keychain.
type resource struct{ registry, repository string }

func (r resource) String() string      { return strings.TrimSuffix(r.registry+"/"+r.repository, "/") }
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
	failed := &CredentialError{Repository: target.String(), Err: errors.New(a.client.tell(err.Error(), false))}
	if !lasts(err) {
		return failed
	}
	return &Error{Op: "find credentials for " + target.String(), Registry: a.registry, Err: &lastingCredentialError{failed}}
}

// lastingCredentialError is a *CredentialError that another try would meet again.
type lastingCredentialError struct{ *CredentialError }

func (e *lastingCredentialError) Lasting() bool { return true }
func (e *lastingCredentialError) Unwrap() error { return e.CredentialError }

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
			err = &Error{Op: "get a token", Registry: a.registry, Err: &trouble{text: "named a token service that gave " + err.Error(), err: err}}
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("get a token for registry %s: %w", a.registry, context.Cause(ctx))
		}
		return used, err
	}
	used.header = "Bearer " + t.value
	return used, nil
}

func tokenKind(cred authn.AuthConfig) string {
	if cred.IdentityToken != "" {
		return "with an identity token"
	}
	_, kind := basicHeader(cred)
	return kind
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
	x := &exchange{auth: a, realm: realm, service: c.params["service"], scopes: scopes, cred: cred}
	if err := a.bePatient(ctx, x); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, tokenTimeout, &flight.LimitError{Limit: tokenTimeout})
	defer cancel()
	asked := a.client.opts.Now()
	got, err := x.run(ctx)
	if err != nil {
		a.heed(x, err)
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

// bePatient waits until a token service may be asked again, if that is soon.
func (a *auth) bePatient(ctx context.Context, x *exchange) error {
	a.mu.Lock()
	left := a.patience[x.realm.Host].Sub(a.client.opts.Now())
	a.mu.Unlock()
	if left <= 0 {
		return nil
	}
	if left > a.client.opts.MaxWait {
		return x.fail(&Error{Status: http.StatusTooManyRequests, RetryAfter: left})
	}
	return a.client.opts.Wait(ctx, left)
}

// heed notes that a token service asked for patience.
func (a *auth) heed(x *exchange, err error) {
	failed := asError(err)
	if failed == nil || failed.RetryAfter <= 0 || !failed.Throttled() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	makeRoom(a.patience, maxRepositories)
	a.patience[x.realm.Host] = a.client.opts.Now().Add(failed.RetryAfter)
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

// rotated is the refresh token that is in the place of a configured one.
func (a *auth) rotated(configured string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if current, ok := a.replaced[configured]; ok {
		return current
	}
	return configured
}

func (a *auth) rotate(configured, current string) {
	a.client.secrets.add(current)
	a.mu.Lock()
	defer a.mu.Unlock()
	makeRoom(a.replaced, maxRotated)
	a.replaced[configured] = current
}
