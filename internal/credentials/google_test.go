//go:build unix

package credentials

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/oauth2"
)

func TestGoogleIsAskedForItsOwnRegistriesAlone(t *testing.T) {
	for host, want := range map[string]bool{
		"gcr.io": true, "eu.gcr.io": true, "europe-docker.pkg.dev": true, "gcr.io.evil.example": false, "ghcr.io": false,
	} {
		if isGoogle(host) != want {
			t.Errorf("%s is Google's: %t", host, !want)
		}
	}
}

func TestGoogleSaysWhatItHasWithoutWhatItsServicesAnswer(t *testing.T) {
	none := func(context.Context) (authn.Authenticator, error) {
		return nil, &oauth2.RetrieveError{Response: &http.Response{StatusCode: http.StatusBadRequest}, Body: []byte("hunter2")}
	}
	given := func(context.Context) (authn.Authenticator, error) {
		return authn.FromConfig(authn.AuthConfig{Username: "_token", Password: "adc"}), nil
	}
	repo, err := name.NewRepository("gcr.io/acme/app")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, script, password, looked string
		application                    func(context.Context) (authn.Authenticator, error)
	}{
		{"application default credentials", "exit 1", "adc", "", given},
		{"gcloud", `echo '{"credential": {"access_token": "logged-in"}}'`, "logged-in", "", none},
		{"nothing", "echo hunter2; echo hunter2 >&2; exit 1", "", "Google's application default credentials (refused with 400); gcloud (failed: exit status 1)", none},
		{"an odd gcloud", "echo hunter2", "", "Google's application default credentials (refused with 400); gcloud (gave no token)", none},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newHome(t)
			h.write(t, "bin/gcloud", "#!/bin/sh\n"+row.script+"\n", 0o700)
			g := NewGoogle()
			g.application = row.application
			found, err := g.Find(t.Context(), repo)
			if err != nil || found.Password != row.password || strings.Join(found.Looked, "; ") != row.looked && row.looked != "" {
				t.Errorf("got %q, %q, %v", found.Password, found.Looked, err)
			}
		})
	}
}

func TestTheEnvironmentOfGitHubsActionsIsForItsRegistryAlone(t *testing.T) {
	g := GitHub{Getenv: func(name string) string { return map[string]string{"GITHUB_TOKEN": "t"}[name] }}
	for host, want := range map[string]string{"ghcr.io": "t", "ghcr.io.evil.example": "", "r.example": ""} {
		repo, err := name.NewRepository(host + "/acme/app")
		if err != nil {
			t.Fatal(err)
		}
		if found, err := g.Find(t.Context(), repo); err != nil || found.Password != want {
			t.Errorf("%s: got %q, %v", host, found.Password, err)
		}
	}
}

// fixed is a keychain that always does the same.
type fixed struct {
	found Found
	err   error
}

func (f fixed) Resolve(authn.Resource) (authn.Authenticator, error) { return nil, f.err }
func (f fixed) Find(context.Context, authn.Resource) (Found, error) { return f.found, f.err }

func TestAChainPassesOverWhatFailsIfAnotherHasACredential(t *testing.T) {
	repo, err := name.NewRepository("r.example/acme/app")
	if err != nil {
		t.Fatal(err)
	}
	passes, lasts := fixed{err: errors.New("passes")}, fixed{err: &lookupError{text: "lasts", lasts: true}}
	has := fixed{found: Found{AuthConfig: authn.AuthConfig{Username: "u"}, Looked: []string{"here"}}}
	empty := fixed{found: Found{Looked: []string{"there"}}}
	if found, err := (Chain{lasts, empty, has}).Find(t.Context(), repo); err != nil || found.Username != "u" || strings.Join(found.Looked, " ") != "there here" {
		t.Errorf("got %+v, %v", found, err)
	}
	for _, row := range []struct {
		chain Chain
		text  string
		lasts bool
	}{{Chain{lasts, empty}, "lasts", true}, {Chain{passes, lasts}, "passes; lasts", false}, {Chain{lasts, lasts}, "lasts; lasts", true}} {
		if _, err := row.chain.Find(t.Context(), repo); err == nil || err.Error() != row.text || lasting(err) != row.lasts {
			t.Errorf("got error %v, which lasts: %t", err, lasting(err))
		}
	}
}
