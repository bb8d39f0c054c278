//go:build unix

package credentials

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// home is a home directory with configuration files, and a folder of helpers in PATH.
type home struct {
	dir string
	env map[string]string
}

func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{dir: t.TempDir(), env: map[string]string{}}
	h.env["XDG_RUNTIME_DIR"] = filepath.Join(h.dir, "run")
	t.Setenv("PATH", filepath.Join(h.dir, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return h
}

func (h *home) write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	path = filepath.Join(h.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// helper installs a docker credential helper that notes its questions.
func (h *home) helper(t *testing.T, name, script string) (questions func() string) {
	t.Helper()
	notes := filepath.Join(h.dir, "questions."+name)
	h.write(t, "bin/docker-credential-"+name, "#!/bin/sh\nserver=$(cat)\necho \"$1 $server\" >> "+notes+"\n"+script, 0o700)
	return func() string {
		text, err := os.ReadFile(notes)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", ", ")
	}
}

func (h *home) files() *Files {
	return NewFiles(func(name string) string { return h.env[name] }, func() (string, error) { return h.dir, nil })
}

func find(t *testing.T, f *Files, repository string) (Found, error) {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	return f.Find(t.Context(), repo)
}

// auth is an entry of a user whose password is the user's name.
func auth(user string) string {
	return fmt.Sprintf(`{"auth": %q}`, base64.StdEncoding.EncodeToString([]byte(user+":"+user)))
}

const (
	dockerFile  = ".docker/config.json"
	authFile    = "elsewhere.json"
	runtimeFile = "run/containers/auth.json"
	configFiles = ".config/containers/auth.json"
)

func TestTheEntryThatFitsBestWins(t *testing.T) {
	for _, row := range []struct{ text, repository, want string }{
		{`{"auths": {"r.example/acme": A, "r.example/other": O}}`, "r.example/acme/app", "A"},
		{`{"auths": {"r.example/acme": A, "r.example/other": O}}`, "r.example/other/app", "O"},
		{`{"auths": {"r.example/acme": A, "r.example/other": O}}`, "r.example/third/app", ""},
		{`{"auths": {"r.example": H, "r.example/acme": A, "r.example/acme/app": X}}`, "r.example/acme/app", "X"},
		{`{"auths": {"r.example": H, "r.example/acme": A, "r.example/acme/app": X}}`, "r.example/acme/b", "A"},
		{`{"auths": {"r.example": H, "r.example/acme": A, "r.example/acme/app": X}}`, "r.example/b", "H"},
		{`{"auths": {"https://r.example/v2/": S, "r.example/acme": A}}`, "r.example/acme/app", "A"},
		{`{"auths": {"https://r.example": S, "r.example": H}}`, "r.example/acme/app", "S"}, // of equals the first by the alphabet, always
		{`{"auths": {"https://r.example/acme": A, "r.example": H}}`, "r.example/b", "H"},
		{`{"auths": {"docker.io": D}}`, "alpine", "D"},
		{`{"auths": {"docker.io": D, "docker.io/acme": A}}`, "acme/app", "A"},
		{`{"auths": {"https://index.docker.io/v1/": D}}`, "docker.io/acme/app", "D"},
		{`{"auths": {"registry-1.docker.io": D}}`, "index.docker.io/acme/app", "D"},
		{`{"AUTHS": {"r.example": H}}`, "r.example/acme/app", "H"},
		{"\ufeff" + `{"auths": {"r.example": H}}`, "r.example/acme/app", "H"},
		{`{"auths": {"r.example": {"username": "U", "password": "U"}}}`, "r.example/acme/app", "U"},
		{`{"auths": {"r.example": null}}`, "r.example/acme/app", ""},
		{`{"auths": null}`, "r.example/acme/app", ""},
		{`{}`, "r.example/acme/app", ""},
		{``, "r.example/acme/app", ""},
	} {
		h := newHome(t)
		for _, user := range []string{"A", "O", "H", "X", "S", "D"} {
			row.text = strings.ReplaceAll(row.text, ": "+user, ": "+auth(user))
		}
		h.write(t, dockerFile, row.text, 0o600)
		for range 20 { // maps have no order
			found, err := find(t, h.files(), row.repository)
			if err != nil || found.Username != row.want || found.Password != row.want {
				t.Errorf("%s for %s: got %q, %v; want %q", row.text, row.repository, found.Username, err, row.want)
				break
			}
		}
	}
}

func TestAllFilesAreLookedAtInTheirOrder(t *testing.T) {
	for _, row := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"an empty config.json hides nothing", map[string]string{dockerFile: `{}`, authFile: "A"}, "A"},
		{"podman's file of this session", map[string]string{dockerFile: `{}`, runtimeFile: "R"}, "R"},
		{"podman's file that stays", map[string]string{dockerFile: `{}`, authFile: `{}`, runtimeFile: `{}`, configFiles: "C"}, "C"},
		{"docker's first", map[string]string{dockerFile: "D", authFile: "A", runtimeFile: "R", configFiles: "C"}, "D"},
		{"then REGISTRY_AUTH_FILE", map[string]string{authFile: "A", runtimeFile: "R", configFiles: "C"}, "A"},
		{"then the session's", map[string]string{runtimeFile: "R", configFiles: "C"}, "R"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newHome(t)
			h.env["REGISTRY_AUTH_FILE"] = filepath.Join(h.dir, authFile)
			for path, text := range row.files {
				if len(text) == 1 {
					text = `{"auths": {"r.example": ` + auth(text) + `}}`
				}
				h.write(t, path, text, 0o600)
			}
			if found, err := find(t, h.files(), "r.example/acme/app"); err != nil || found.Username != row.want {
				t.Errorf("got %q, %v", found.Username, err)
			}
		})
	}
	h := newHome(t)
	h.write(t, dockerFile, `{"auths": {"r.example": `+auth("H")+`}}`, 0o600)
	h.write(t, runtimeFile, `{"auths": {"r.example/acme": `+auth("A")+`}}`, 0o600)
	if found, err := find(t, h.files(), "r.example/acme/app"); err != nil || found.Username != "A" {
		t.Errorf("a better fit in a later file: got %q, %v", found.Username, err)
	}
	other := h.write(t, "other/config.json", `{"auths": {"r.example": `+auth("O")+`}}`, 0o600)
	h.env["DOCKER_CONFIG"] = filepath.Dir(other)
	if found, err := find(t, h.files(), "r.example/third/app"); err != nil || found.Username != "O" {
		t.Errorf("with DOCKER_CONFIG: got %q, %v", found.Username, err)
	}
}

func TestIdentityAndRegistryTokensAreTakenAsTheyAre(t *testing.T) {
	for text, want := range map[string]authn.AuthConfig{
		`{"identitytoken": "I"}`:                             {IdentityToken: "I"},
		`{"auth": "PHRva2VuPjo=", "identitytoken": "I"}`:     {IdentityToken: "I"}, // "<token>:"
		`{"registrytoken": "R"}`:                             {RegistryToken: "R"},
		`{"auth": "YTpi"}`:                                   {Username: "a", Password: "b"},
		`{"auth": "YTpi\n"}`:                                 {Username: "a", Password: "b"},
		`{"auth": "YTpiOmM"}`:                                {Username: "a", Password: "b:c"},
		`{"username": "x", "password": "y", "auth": "YTpi"}`: {Username: "a", Password: "b"},
	} {
		h := newHome(t)
		h.write(t, dockerFile, `{"auths": {"r.example": `+text+`}}`, 0o600)
		if found, err := find(t, h.files(), "r.example/a/b"); err != nil || found.AuthConfig != want {
			t.Errorf("%s: got %+v, %v", text, found.AuthConfig, err)
		}
	}
}

func TestHelpersAreAskedInTheirPlace(t *testing.T) {
	const gives = `echo '{"ServerURL": "x", "Username": "helped", "Secret": "s"}'`
	const none = `echo "credentials not found in native keychain"; exit 1`
	for _, row := range []struct{ name, file, script, repository, want, asked string }{
		{"by host", `{"credHelpers": {"r.example": "h"}}`, gives, "r.example/acme/app", "helped", "get r.example"},
		{"not for others", `{"credHelpers": {"r.example": "h"}}`, gives, "s.example/acme/app", "", ""},
		{"for Docker Hub, by any of its names", `{"credHelpers": {"docker.io": "h"}}`, gives, "alpine", "helped", "get https://index.docker.io/v1/"},
		{"a store is for every host", `{"credsStore": "h"}`, gives, "r.example/acme/app", "helped", "get r.example"},
		{"a store has the key of its sign", `{"auths": {"https://r.example": {}}, "credsStore": "h"}`, gives, "r.example/acme/app", "helped", "get https://r.example"},
		{"a helper before the store", `{"credHelpers": {"r.example": "h"}, "credsStore": "other"}`, gives, "r.example/acme/app", "helped", "get r.example"},
		{"the store before the entry", `{"auths": {"r.example": E}, "credsStore": "h"}`, gives, "r.example/acme/app", "helped", "get r.example"},
		{"the entry, if the store has none", `{"auths": {"r.example": E}, "credsStore": "h"}`, none, "r.example/acme/app", "E", "get r.example"},
		{"the entry, if the helper fails", `{"auths": {"r.example": E}, "credsStore": "h"}`, "exit 2", "r.example/acme/app", "E", "get r.example"},
		{"the entry that fits better", `{"auths": {"r.example/acme": E}, "credHelpers": {"r.example": "h"}}`, gives, "r.example/acme/app", "E", ""},
		{"nobody has one", `{"credHelpers": {"r.example": "h"}}`, none, "r.example/acme/app", "", "get r.example"},
		{"a token", `{"credHelpers": {"r.example": "h"}}`, `echo '{"Username": "<token>", "Secret": "t"}'`, "r.example/acme/app", "", "get r.example"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newHome(t)
			questions := h.helper(t, "h", row.script)
			h.write(t, dockerFile, strings.ReplaceAll(row.file, ": E", ": "+auth("E")), 0o600)
			found, err := find(t, h.files(), row.repository)
			if err != nil || found.Username != row.want || questions() != row.asked {
				t.Errorf("got %q, %v, after %q", found.Username, err, questions())
			}
			if row.name == "a token" && found.IdentityToken != "t" {
				t.Errorf("got %+v", found)
			}
		})
	}
}

func TestAHelperServesManyRepositoriesWithOneAnswer(t *testing.T) {
	h := newHome(t)
	questions := h.helper(t, "h", `echo '{"Username": "u", "Secret": "s"}'`)
	h.write(t, dockerFile, `{"credHelpers": {"r.example": "h"}}`, 0o600)
	files := h.files()
	for i := range 20 {
		if found, err := find(t, files, fmt.Sprintf("r.example/acme/app-%d", i)); err != nil || found.Username != "u" {
			t.Fatalf("got %q, %v", found.Username, err)
		}
	}
	if questions() != "get r.example" {
		t.Errorf("the helper was asked %q, want once", questions())
	}
}

func TestAHelperThatHangsIsOneRegistrysTroubleAndEnds(t *testing.T) {
	h := newHome(t)
	questions := h.helper(t, "stuck", "sleep 600")
	h.helper(t, "well", `echo '{"Username": "u", "Secret": "s"}'`)
	h.write(t, dockerFile, `{"credHelpers": {"stuck.example": "stuck", "well.example": "well"}}`, 0o600)
	files := h.files()
	files.limitHelpers(2 * time.Second)
	stuck := make(chan error)
	go func() {
		repo, _ := name.NewRepository("stuck.example/a/b")
		_, err := files.Find(t.Context(), repo)
		stuck <- err
	}()
	for questions() == "" && t.Context().Err() == nil {
		continue
	}
	if found, err := find(t, files, "well.example/a/b"); err != nil || found.Username != "u" {
		t.Errorf("another registry: got %q, %v", found.Username, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	repo, _ := name.NewRepository("stuck.example/a/b")
	if _, err := files.Find(ctx, repo); !errors.Is(err, enough) {
		t.Errorf("who leaves got %v", err)
	}
	err := <-stuck
	if err == nil || lasting(err) || !strings.Contains(err.Error(), "docker-credential-stuck (in "+filepath.Join(h.dir, dockerFile)+") did not end within 2s") {
		t.Errorf("got error %v, want one that passes and names the helper, the file and the limit", err)
	}
}

func TestAMissingHelperFailsForGoodAndSaysWhatToDo(t *testing.T) {
	for _, helper := range []string{"nobody", "../../bin/sh"} {
		h := newHome(t)
		path := h.write(t, dockerFile, fmt.Sprintf(`{"credHelpers": {"r.example": %q}}`, helper), 0o600)
		_, err := find(t, h.files(), "r.example/a/b")
		if err == nil || !lasting(err) || !strings.Contains(err.Error(), "docker-credential-"+helper) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "install it") {
			t.Errorf("%s: got error %v", helper, err)
		}
	}
}

func TestNothingThatAHelperPrintsIsShown(t *testing.T) {
	const planted = "hunter2"
	for _, script := range []string{
		"echo hunter2; echo hunter2 >&2; exit 1", "echo hunter2", `echo '{"Username": "u", "Secret": ["hunter2"]}'`, "echo hunter2 >&2; exit 0",
	} {
		h := newHome(t)
		h.helper(t, "h", script)
		h.write(t, dockerFile, `{"credHelpers": {"r.example": "h"}}`, 0o600)
		found, err := find(t, h.files(), "r.example/a/b")
		if err == nil || strings.Contains(err.Error(), planted) || strings.Contains(fmt.Sprint(found), planted) {
			t.Errorf("%s: got %v, %v", script, found, err)
		}
	}
}

func TestAMalformedFileIsAnErrorThatNamesItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"auths\": {\n\"hunter2\"\n}}":                        "line 4: it must be JSON",
		"{\n\"auths\": {":                                         "line 2: it must be JSON",
		"{\n\n\"auths\": [\"hunter2\"]}":                          "line 3: /auths must not be a JSON array",
		"{\"auths\": {\"r.example\":\n{\"auth\": 7}}}":            "line 2: /auths/r.example/auth must not be a JSON number",
		"{\"credsStore\": {}}":                                    "line 1: /credsStore must not be a JSON object",
		"hunter2":                                                 "line 1: it must be JSON",
		strings.Repeat(" ", maxConfig+1):                          "is larger than",
		`{"auths": {"r.example": {"auth": "hunter2!"}}}`:          `auths: "r.example": auth must be the base64 of USER:PASSWORD`,
		`{"auths": {"r.example": {"auth": "aHVudGVyMg=="}}}`:      `auths: "r.example": auth must be the base64 of USER:PASSWORD`,
		"{\"auths\": {\"" + strings.Repeat("x", 10_000) + "\": 1": "must not be a JSON number",
	} {
		h := newHome(t)
		path := h.write(t, dockerFile, text, 0o600)
		_, err := find(t, h.files(), "r.example/a/b")
		if err == nil || !lasting(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 500 {
			t.Errorf("%.60q: got error %v, want one that says %q", text, err, want)
		}
	}
	h := newHome(t)
	h.write(t, dockerFile, `{"auths": {"r.example": {"auth": "hunter2!"}}}`, 0o600)
	if _, err := find(t, h.files(), "s.example/a/b"); err != nil {
		t.Errorf("an entry of another registry: %v", err)
	}
}

func TestASearchSaysWhereItLookedAndWhatIsThere(t *testing.T) {
	h := newHome(t)
	h.env["DOCKER_CONFIG"] = filepath.Join(h.dir, "docker")
	docker := h.write(t, "docker/config.json", `{"auths": {"r.example/other": `+auth("hunter2")+`, "s.example": `+auth("hunter2")+`}, "credsStore": "h"}`, 0o600)
	h.helper(t, "h", `echo "credentials not found in native keychain"; exit 1`)
	found, err := find(t, h.files(), "r.example/acme/app")
	if err != nil || !found.Anonymous() {
		t.Fatalf("got %+v, %v", found, err)
	}
	got := strings.Join(found.Looked, "; ")
	for _, want := range []string{
		docker + " (2 entries, some match)", "docker-credential-h (none for r.example)",
		"$REGISTRY_AUTH_FILE (not set)", filepath.Join(h.dir, runtimeFile) + " (not there)", filepath.Join(h.dir, configFiles) + " (not there)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if strings.Contains(got, "hunter2") {
		t.Errorf("%q holds a secret", got)
	}
	h.write(t, "docker/config.json", `{"auths": {"r.example/other": `+auth("x")+`}}`, 0o600)
	if found, _ = find(t, h.files(), "r.example/acme/app"); found.Looked[0] != docker+" (1 entry, none for r.example/acme/app, only for r.example/other)" {
		t.Errorf("got %q", found.Looked[0])
	}
	if found, _ = find(t, h.files(), "r.example/other/app"); found.Source != `"r.example/other" in `+docker {
		t.Errorf("the source is %q", found.Source)
	}
}

func FuzzConfigFiles(f *testing.F) {
	f.Add([]byte(`{"auths": {"r.example": {"auth": "YTpi"}}, "credHelpers": {"a": "b"}, "credsStore": "c"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeConfig("config.json", data)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("%q: the error is %d bytes long", data, len(err.Error()))
			}
			return
		}
		c.candidates("r.example", "acme/app")
		for _, e := range c.Auths {
			_, _ = e.credential()
		}
	})
}
