package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/internal/credentials"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/registry/registrytest"
)

// namespaces is a keychain that knows a user for each namespace; the password is the
// user's name.
type namespaces struct{}

func (namespaces) Resolve(target authn.Resource) (authn.Authenticator, error) {
	_, path, _ := strings.Cut(target.String(), "/")
	user, _, _ := strings.Cut(path, "/")
	return authn.FromConfig(authn.AuthConfig{Username: user, Password: user + "-password"}), nil
}

// server answers with a function, and notes what was asked.
type server struct {
	*httptest.Server

	host string
	mu   sync.Mutex
	log  []string
}

func serve(t *testing.T, answer func(s *server, w http.ResponseWriter, r *http.Request)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			// Without it a tag is asked for once more.
			w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		}
		answer(s, w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	s.host = strings.TrimPrefix(s.URL, "http://")
	return s
}

func (s *server) notef(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

func (s *server) noted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// named is the address of a server on this machine by a name, which a token service may
// go by.
func (s *server) named() string { return strings.Replace(s.URL, "127.0.0.1", "localhost", 1) }

func client(t *testing.T, opts registry.Options) *registry.Client {
	t.Helper()
	if opts.Keychain == nil {
		opts.Keychain = authn.NewMultiKeychain()
	}
	if opts.Wait == nil {
		opts.Wait = noWait
	}
	if opts.CertDirs == nil {
		opts.CertDirs = []string{}
	}
	c := registry.New(opts)
	t.Cleanup(c.Close)
	return c
}

func head(t *testing.T, c *registry.Client, host, repository string) error {
	t.Helper()
	repo, err := c.Repository(host, repository, registry.Caller{Invocation: "test"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = repo.Head(t.Context(), "v1")
	return err
}

// get reads a manifest.
func get(t *testing.T, c *registry.Client, host, repository string) error {
	t.Helper()
	repo, err := c.Repository(host, repository, registry.Caller{Invocation: "test"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = repo.Manifest(t.Context(), "v1", 1<<20) //nolint:dogsled // how it goes is all that matters here
	return err
}

func TestEachRepositoryIsAskedWithItsOwnCredentials(t *testing.T) {
	for _, scheme := range []string{"basic", "bearer"} {
		t.Run(scheme, func(t *testing.T) {
			s := serve(t, func(s *server, w http.ResponseWriter, r *http.Request) {
				user, password, _ := r.BasicAuth()
				if r.URL.Path == "/token" {
					if password != user+"-password" || r.URL.Query().Get("scope") != "repository:"+user+"/app:pull,push" {
						s.notef("%s asks for %s", user, r.URL.Query()["scope"])
					}
					fmt.Fprintf(w, `{"token":"token-of-%s"}`, user)
					return
				}
				owner, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
				if scheme == "basic" && user == owner && password == owner+"-password" || r.Header.Get("Authorization") == "Bearer token-of-"+owner {
					w.WriteHeader(http.StatusNotFound)
					return
				}
				if got := r.Header.Get("Authorization"); got != "" {
					s.notef("%s is asked for with %s", owner, got)
				}
				w.Header().Set("WWW-Authenticate", map[string]string{"basic": `Basic realm="x"`, "bearer": fmt.Sprintf(`Bearer realm="%s/token",service="x"`, s.URL)}[scheme])
				w.WriteHeader(http.StatusUnauthorized)
			})
			c := client(t, registry.Options{Keychain: namespaces{}})
			for range 3 {
				for _, repository := range []string{"acme/app", "other/app", "third/app"} {
					if err := head(t, c, s.host, repository); err != nil {
						t.Error(err)
					}
				}
			}
			if wrong := s.noted(); len(wrong) > 0 {
				t.Errorf("one repository's credentials went to another: %q", wrong)
			}
		})
	}
}

func TestAChallengeIsThatOfItsRepository(t *testing.T) {
	service := func(name string) *server {
		return serve(t, func(s *server, w http.ResponseWriter, r *http.Request) {
			user, _, _ := r.BasicAuth()
			s.notef("%s", user)
			fmt.Fprintf(w, `{"token":"by-%s"}`, name)
		})
	}
	services := map[string]*server{"acme": service("acme"), "other": service("other")}
	s := serve(t, func(_ *server, w http.ResponseWriter, r *http.Request) {
		owner, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
		if r.Header.Get("Authorization") == "Bearer by-"+owner {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="x"`, services[owner].named()))
		w.WriteHeader(http.StatusUnauthorized)
	})
	c := client(t, registry.Options{Keychain: namespaces{}})
	for _, repository := range []string{"acme/app", "other/app", "acme/two", "other/two", "acme/app"} {
		if err := head(t, c, s.host, repository); err != nil {
			t.Error(err)
		}
	}
	for owner, service := range services {
		for _, user := range service.noted() {
			if user != owner {
				t.Errorf("the token service of %s was shown the credentials of %s", owner, user)
			}
		}
	}
}

func TestRepositoriesWithOneCredentialLearnOneChallenge(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret"})
	c := client(t, registry.Options{Keychain: keychain{Username: "ann", Password: "secret"}})
	for i := range 10 {
		if err := head(t, c, fake.Host, fmt.Sprintf("acme/app-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if fake.Total() != 11 {
		t.Errorf("%d requests were made for ten repositories, want one more", fake.Total())
	}
}

// stuck is a keychain that does not heed its context.
type stuck struct{ release chan struct{} }

func (s stuck) Resolve(target authn.Resource) (authn.Authenticator, error) {
	if strings.Contains(target.String(), "stuck") {
		<-s.release
	}
	return authn.FromConfig(authn.AuthConfig{Username: "ann", Password: "secret"}), nil
}

func TestAKeychainThatHangsIsOneRepositorysTroubleAndEndsWithItsCaller(t *testing.T) {
	rules := registrytest.Rules{User: "ann", Password: "secret"}
	fake := registrytest.Start(t, rules)
	release := make(chan struct{})
	defer close(release)
	c := client(t, registry.Options{Keychain: stuck{release}, Pace: registry.Pace{Small: 2}})
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	var all sync.WaitGroup
	for i := range 8 { // more than may be under way at once
		all.Go(func() {
			repo, err := c.Repository(fake.Host, fmt.Sprintf("stuck/app-%d", i), registry.Caller{Invocation: "test"})
			if err != nil {
				t.Error(err)
				return
			}
			if _, _, err := repo.Head(ctx, "v1"); !errors.Is(err, enough) {
				t.Errorf("who waits for the keychain got %v", err)
			}
		})
	}
	for range 3 {
		if err := head(t, c, fake.Host, "acme/app"); err != nil {
			t.Error(err)
		}
	}
	cancel(enough)
	all.Wait()
}

// helpers makes a home directory whose docker configuration names a helper.
func helpers(t *testing.T, host, script string) credentials.Chain {
	t.Helper()
	dir := t.TempDir()
	for path, text := range map[string]string{
		"docker/config.json":            fmt.Sprintf(`{"credHelpers": {%q: "test"}}`, host),
		"bin/docker-credential-test":    "#!/bin/sh\n" + script + "\n",
		"run/containers/auth.json.none": "",
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if script == "" {
		if err := os.Remove(filepath.Join(dir, "bin/docker-credential-test")); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	env := map[string]string{"DOCKER_CONFIG": filepath.Join(dir, "docker"), "XDG_RUNTIME_DIR": filepath.Join(dir, "run")}
	return credentials.Chain{credentials.NewFiles(func(name string) string { return env[name] }, func() (string, error) { return dir, nil })}
}

func TestAMissingHelperIsAFinalFailureThatSaysWhatToDo(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret"})
	err := head(t, client(t, registry.Options{Keychain: helpers(t, fake.Host, "")}), fake.Host, "acme/app")
	failed, ok := errors.AsType[*registry.Error](err)
	if !ok || failed.Passing() || failed.Throttled() {
		t.Fatalf("got error %v, want a final one", err)
	}
	for _, want := range []string{"find credentials for " + fake.Host + "/acme/app", "docker-credential-test", "install it", "config.json"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestAHelperThatFailsMayPassAndIsNotAskedForEachTry(t *testing.T) {
	fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret"})
	c := client(t, registry.Options{Keychain: helpers(t, fake.Host, "echo hunter2; echo hunter2 >&2; exit 7")})
	for i := range 3 {
		err := head(t, c, fake.Host, fmt.Sprintf("acme/app-%d", i))
		_, final := errors.AsType[*registry.Error](err)
		if err == nil || !strings.Contains(err.Error(), "find credentials for "+fake.Host+"/acme/app") || final || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got error %v, want one that may pass", err)
		}
	}
}

func TestARefusalSaysWhereCredentialsWereLookedForOrWhereTheyCameFrom(t *testing.T) {
	for _, life := range []time.Duration{0, time.Minute} {
		fake := registrytest.Start(t, registrytest.Rules{User: "ann", Password: "secret", TokenLife: life})
		keychain := helpers(t, fake.Host, `echo "credentials not found in native keychain"; exit 1`)
		err := head(t, client(t, registry.Options{Keychain: keychain}), fake.Host, "acme/app")
		for _, want := range []string{"asked anonymously", "no credentials were found in ", "config.json (1 entry, some match)", "$REGISTRY_AUTH_FILE (not set)", "auth.json (not there)", "docker-credential-test (none for "} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say %q", err, want)
			}
		}
		keychain = helpers(t, fake.Host, `echo '{"Username": "ann", "Secret": "hunter2"}'`)
		err = head(t, client(t, registry.Options{Keychain: keychain}), fake.Host, "acme/app")
		for _, want := range []string{"with a user name and password (docker-credential-test for ", "config.json))"} {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v does not say %q, or has the password", err, want)
			}
		}
	}
}
