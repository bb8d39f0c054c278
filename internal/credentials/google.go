package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/google"
	"golang.org/x/oauth2"

	"github.com/drayage/drayage/internal/flight"
	"github.com/drayage/drayage/internal/subprocess"
)

const (
	// googleLimit is how long Google's services and gcloud may take.
	googleLimit = 30 * time.Second
	// googleKeep is how long a token serves all of Google's registries. A token is valid
	// for up to an hour.
	googleKeep = 4 * time.Minute
)

// Google finds a credential for Google's registries: the identity of this machine, or
// the user who is logged in to gcloud.
type Google struct {
	tokens flight.Group[Found]
	// application finds application default credentials.
	application func(ctx context.Context) (authn.Authenticator, error)
}

// NewGoogle makes a keychain for Google's registries.
func NewGoogle() *Google {
	return &Google{
		tokens:      flight.Group[Found]{Limit: googleLimit + 10*time.Second, Keep: googleKeep, KeepFailure: helperSulk},
		application: google.NewEnvAuthenticator,
	}
}

// Find implements [finder].
func (g *Google) Find(ctx context.Context, target authn.Resource) (Found, error) {
	if !isGoogle(target.RegistryStr()) {
		return Found{}, nil
	}
	return g.tokens.Do(ctx, "", g.find)
}

// isGoogle tells whether a host is a registry of Google's.
func isGoogle(host string) bool {
	if host == "gcr.io" {
		return true
	}
	for _, suffix := range []string{".gcr.io", ".pkg.dev", ".google.com"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// find asks anew each time: a token source that is kept would use the context of its
// first caller.
func (g *Google) find(ctx context.Context) (Found, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, googleLimit, &flight.LimitError{Limit: googleLimit})
	defer cancel()
	var found Found
	authenticator, err := g.application(ctx)
	if err == nil {
		var config *authn.AuthConfig
		if config, err = authn.Authorization(ctx, authenticator); err == nil && config != nil && *config != (authn.AuthConfig{}) {
			found.AuthConfig, found.Source = *config, "Google's application default credentials"
			return found, nil
		}
	}
	if ctx.Err() != nil {
		return found, &lookupError{text: fmt.Sprintf("Google's application default credentials: %v", context.Cause(ctx)), err: context.Cause(ctx)}
	}
	found.Looked = append(found.Looked, "Google's application default credentials ("+googleTrouble(err)+")")
	return gcloud(ctx, found)
}

// googleTrouble says why there is no token. It does not show the answer of Google's
// services, which may contain a token.
func googleTrouble(err error) string {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		text := "refused"
		if refused.Response != nil {
			text += fmt.Sprintf(" with %d", refused.Response.StatusCode)
		}
		return text
	}
	return "none"
}

// gcloud asks Google's tool for the token of its user.
func gcloud(ctx context.Context, found Found) (Found, error) {
	out, err := subprocess.Run(ctx, subprocess.Command{
		Path: "gcloud", Args: []string{"config", "config-helper", "--force-auth-refresh", "--format=json(credential)"}, Limit: googleLimit,
	})
	if failed, ok := errors.AsType[*subprocess.Error](err); ok {
		if failed.Missing || failed.Exit != 0 {
			found.Looked = append(found.Looked, "gcloud ("+failed.Err.Error()+")")
			return found, nil
		}
		return found, &lookupError{text: fmt.Sprintf("gcloud %v: run `gcloud config config-helper` to see why", failed.Err), err: err}
	}
	var answer struct {
		Credential struct {
			AccessToken string `json:"access_token"`
		} `json:"credential"`
	}
	if json.Unmarshal(out.Stdout, &answer) != nil || answer.Credential.AccessToken == "" {
		found.Looked = append(found.Looked, "gcloud (gave no token)")
		return found, nil //nolint:nilerr // who is not logged in there has no credentials, which is no failure
	}
	found.AuthConfig = authn.AuthConfig{Username: "_token", Password: answer.Credential.AccessToken}
	found.Source = "gcloud"
	return found, nil
}

// Resolve implements [authn.Keychain].
func (g *Google) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return g.ResolveContext(context.Background(), target)
}

// ResolveContext implements [authn.ContextKeychain].
func (g *Google) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	return Authenticator(g.Find(ctx, target))
}
