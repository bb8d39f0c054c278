package keychain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/credentials"
	"github.com/drayage/drayage/internal/flight"
)

const (
	// limit is how long a cloud may take to give credentials. Its SDK asks several
	// places, and some of them never answer.
	limit = 60 * time.Second
	// keep is how long credentials serve all repositories of a registry, and sulk how
	// long a cloud is not asked again after it had none.
	keep = 4 * time.Minute
	sulk = 10 * time.Second
)

// provider is a keychain for the registries of one cloud.
type provider struct {
	name, hint string
	serves     func(host string) bool
	get        func(ctx context.Context, host string) (authn.AuthConfig, error)

	found flight.Group[authn.AuthConfig]
}

func newProvider(name, hint string, serves func(string) bool, get func(context.Context, string) (authn.AuthConfig, error)) *provider {
	return &provider{name: name, hint: hint, serves: serves, get: get,
		found: flight.Group[authn.AuthConfig]{Limit: limit, Keep: keep, KeepFailure: sulk}}
}

// Find implements [credentials.finder]. A missing identity is an error: an anonymous
// request would be refused with a less helpful error.
func (p *provider) Find(ctx context.Context, target authn.Resource) (credentials.Found, error) {
	host := target.RegistryStr()
	if !p.serves(host) {
		return credentials.Found{}, nil
	}
	config, err := p.found.Do(ctx, host, func(ctx context.Context) (authn.AuthConfig, error) { return p.get(ctx, host) })
	if err != nil {
		return credentials.Found{Looked: []string{p.name + " (none)"}}, fmt.Errorf("get credentials from %s: %w; %s", p.name, err, p.hint)
	}
	return credentials.Found{AuthConfig: config, Source: "this process's identity at " + p.name}, nil
}

// Resolve implements [authn.Keychain].
func (p *provider) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return p.ResolveContext(context.Background(), target)
}

// ResolveContext implements [authn.ContextKeychain].
func (p *provider) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	return credentials.Authenticator(p.Find(ctx, target))
}

// maxTrouble bounds what is shown of an SDK's error, in bytes.
const maxTrouble = 400

// trouble makes one line of an SDK's error. It drops the text between the second and the
// third ruler: there azidentity prints the body of an answer, which may contain a token.
func trouble(err error) error {
	const ruler = "\n----"
	var shown []string
	for i, part := range strings.Split(err.Error(), ruler) {
		if i%3 != 2 {
			shown = append(shown, strings.Fields(strings.Trim(part, "-"))...)
		}
	}
	text := strings.ToValidUTF8(strings.Join(shown, " "), "")
	if len(text) > maxTrouble {
		text = strings.ToValidUTF8(text[:maxTrouble], "") + "…"
	}
	return errors.New(text)
}
