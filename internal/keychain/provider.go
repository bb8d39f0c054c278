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
	// places, and waits for some of them in vain.
	limit = 60 * time.Second
	// keep is for how long credentials serve all repositories of a registry, and sulk
	// for how long a cloud is not asked again that had none.
	keep = 4 * time.Minute
	sulk = 10 * time.Second
)

// provider answers for one cloud's registries alone.
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

// Find implements [credentials.finder]. An identity that cannot be had is an error: asked
// anonymously, the registry would refuse with less to go by.
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

// trouble makes an SDK's error fit for a line. What is between the second and the third
// of its rulers is the body of an answer, in which a token may be: azidentity prints
// answers so.
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
