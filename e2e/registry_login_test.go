package e2e_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/pushspec"
)

// specFile writes a push spec as an action would.
func specFile(t *testing.T, spec *pushspec.Spec) string {
	t.Helper()
	data, err := spec.Encode()
	check(t, err)
	file := filepath.Join(t.TempDir(), "push.pushspec.json")
	check(t, os.WriteFile(file, data, 0o644))
	return file
}

// user is a home of somebody's own, with a docker configuration and programs.
type user struct{ dir string }

func newUser(t *testing.T) user {
	t.Helper()
	return user{rig.TempDir(t)}
}

func (u user) write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	path = filepath.Join(u.dir, path)
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(t, os.WriteFile(path, []byte(text), mode))
}

// env is the user's environment, without anything of who runs the test.
func (u user) env() []string {
	return []string{
		"HOME=" + u.dir, "DOCKER_CONFIG=", "REGISTRY_AUTH_FILE=" + filepath.Join(u.dir, "auth.json"), "XDG_RUNTIME_DIR=" + filepath.Join(u.dir, "run"),
		"XDG_CONFIG_HOME=" + filepath.Join(u.dir, "config"), "PATH=" + filepath.Join(u.dir, "bin") + string(filepath.ListSeparator) + os.Getenv("PATH"),
	}
}

// push runs drayage push as the user.
func (u user) push(t *testing.T, cache *rig.BazelRemote, spec *pushspec.Spec, flags ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), rig.Drayage(t), append([]string{"push", "--verbose", "--cas=" + cache.GRPC, specFile(t, spec)}, flags...)...)
	cmd.Env = append(os.Environ(), u.env()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func basicAuth(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// A registry with tokens gives each namespace to a user of its own.
func TestEachNamespaceIsPushedWithItsOwnCredentials(t *testing.T) {
	t.Parallel()
	tokens := rig.StartTokenService(t, time.Hour)
	tokens.Owners = map[string]string{"acme": "ann", "other": "bob"}
	cache, target := rig.StartBazelRemote(t), rig.StartTokenRegistry(t, tokens)
	me := newUser(t)
	me.write(t, ".docker/config.json", "{}", 0o600) // and it hides nothing
	me.write(t, "auth.json", fmt.Sprintf(`{"auths": {"https://%[1]s/v2/": {"auth": %[2]q}, "%[1]s/acme/": {"auth": %[3]q}, "%[1]s/other": {"auth": %[4]q}}}`,
		target.Host, basicAuth("nobody", "nobody-password"), basicAuth("ann", "ann-password"), basicAuth("bob", "bob-password")), 0o600)
	for i, repository := range []string{"acme/app", "other/app", "acme/deep/app"} {
		spec := faultyImage(t, cache, target.Host, repository, "v1", faultyNoise(byte(60+i), 100_000))
		if out, err := me.push(t, cache, spec); err != nil {
			t.Errorf("%s: %v\n%s", repository, err, out)
		}
		owner := tokens.Owners[strings.Split(repository, "/")[0]]
		head, err := describeRemote(t, target.Host+"/"+repository+":v1", authn.FromConfig(authn.AuthConfig{Username: owner, Password: owner + "-password"}))
		if err != nil || head.Digest != spec.Root {
			t.Errorf("%s is %v, %v", repository, head, err)
		}
	}

	spec := faultyImage(t, cache, target.Host, "third/app", "v1", faultyNoise(70, 100))
	out, err := me.push(t, cache, spec)
	want := fmt.Sprintf(`with a bearer token got with a user name and password ("https://%s/v2/" in %s)`, target.Host, filepath.Join(me.dir, "auth.json"))
	if err == nil || !strings.Contains(out, want) || strings.Contains(out, "-password") {
		t.Errorf("without rights: %v\n%s\nwant %q", err, out, want)
	}
	me.write(t, "auth.json", fmt.Sprintf(`{"auths": {"%s/acme": {"auth": %q}}}`, target.Host, basicAuth("ann", "ann-password")), 0o600)
	out, err = me.push(t, cache, spec)
	want = fmt.Sprintf("auth.json (1 entry, none for %[1]s/third/app, only for %[1]s/acme)", target.Host)
	if err == nil || !strings.Contains(out, "asked anonymously") || !strings.Contains(out, want) {
		t.Errorf("without credentials: %v\n%s\nwant %q", err, out, want)
	}
	me.write(t, "auth.json", "{\n  \"auths\": {\n    \"x\": }\n}", 0o600)
	if out, err = me.push(t, cache, spec); err == nil || !strings.Contains(out, "auth.json: line 3: it must be JSON") {
		t.Errorf("with a broken file: %v\n%s", err, out)
	}
}

// hanging is a docker credential helper that waits for a child which never ends.
const hanging = "#!/bin/sh\ntouch %[1]s/asked\nsleep 3600 & echo $! > %[1]s/child\nwait\n"

// gone fails t if the child of the helper that hangs goes on running.
func (u user) gone(t *testing.T) {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(u.dir, "child"))
	check(t, err)
	rig.WaitFor(t, 20*time.Second, "the helper's child to end", func() error {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ") {
			return nil
		}
		return errors.New("it runs")
	})
}

func (u user) asked() error {
	_, err := os.Stat(filepath.Join(u.dir, "child"))
	return err
}

func TestCtrlCEndsAPushWhoseCredentialHelperHangs(t *testing.T) {
	t.Parallel()
	tokens := rig.StartTokenService(t, time.Hour)
	cache, target := rig.StartBazelRemote(t), rig.StartTokenRegistry(t, tokens)
	me := newUser(t)
	me.write(t, ".docker/config.json", fmt.Sprintf(`{"credHelpers": {%q: "hangs"}}`, target.Host), 0o600)
	me.write(t, "bin/docker-credential-hangs", fmt.Sprintf(hanging, me.dir), 0o755)
	cmd := exec.CommandContext(t.Context(), rig.Drayage(t), "push", "--cas="+cache.GRPC, specFile(t, faultyImage(t, cache, target.Host, "acme/app", "v1", faultyNoise(71, 100))))
	cmd.Env = append(os.Environ(), me.env()...)
	check(t, cmd.Start())
	rig.WaitFor(t, time.Minute, "the helper to be asked", me.asked)
	check(t, cmd.Process.Signal(os.Interrupt))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the push went well")
		}
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Signal(syscall.SIGKILL)
		t.Fatal("20 seconds after Ctrl-C the push goes on")
	}
	me.gone(t)
}

func TestAHelperThatHangsIsOneRegistrysTroubleAndAMissingOneIsFinal(t *testing.T) {
	t.Parallel()
	tokens := rig.StartTokenService(t, time.Hour)
	cache, stuck, well := rig.StartBazelRemote(t), rig.StartTokenRegistry(t, tokens), rig.StartRegistry(t)
	missing := rig.StartTokenRegistry(t, tokens)
	me := newUser(t)
	me.write(t, ".docker/config.json", fmt.Sprintf(`{"credHelpers": {%q: "hangs", %q: "nobody-has"}}`, stuck.Host, missing.Host), 0o600)
	me.write(t, "bin/docker-credential-hangs", fmt.Sprintf(hanging, me.dir), 0o755)
	daemon := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, Env: me.env()})
	workspace := rig.NewWorkspace(t)
	build := func(registry, target string) string {
		return workspace.Bazel(t, "build", "--remote_cache="+cache.GRPC, "--bes_backend="+daemon.BES, "--@drayage//rules/settings:registry="+registry, target).Invocation
	}

	build(stuck.Host, "//:push_prod")
	rig.WaitFor(t, pushLimit, "the helper to be asked", me.asked)
	invocation := build(well.Host, "//:push_staging")
	daemon.WaitPushed(t, invocation, pushLimit)
	wantPushed(t, byTarget(t, daemon.Ledger(t, ledger.Query{Invocation: invocation})), "//:push_staging")

	invocation = build(missing.Host, "//:push_staging")
	daemon.WaitPushed(t, invocation, pushLimit)
	row := byTarget(t, daemon.Ledger(t, ledger.Query{Invocation: invocation}))["//:push_staging"]
	if row.Outcome.Good() || row.Attempts != 1 || !strings.Contains(row.Error, "docker-credential-nobody-has") || !strings.Contains(row.Error, "install it") {
		t.Errorf("a missing helper: %s (%s) after %d attempts: %s", row.Outcome, row.ErrorClass, row.Attempts, row.Error)
	}

	if code := daemon.Stop(t); code != 0 {
		t.Errorf("the daemon ended with %d", code)
	}
	me.gone(t)
}

// Every server and program that the daemon asks says secrets, wherever it can.
func TestNoSecretLeavesTheDaemon(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	cache := rig.StartBazelRemote(t)
	front := rig.StartProxy(t, rig.StartRegistry(t).Host)
	// What a repository's name asks for is how it is answered.
	tokenAnswers := map[string]string{
		"no-token":   `{"refresh_token":"` + secret + `-refresh"}`,
		"page":       "<html><title>" + secret + "</title>",
		"odd-token":  `{"token":["` + secret + `"]}`,
		"oauth":      `{"error":"` + secret + `","error_description":"` + secret + `"}`,
		"unfit":      `{"token":"` + secret + `\n"}`,
		"echo":       `{"token":"` + secret + `-token"}`,
		"echo-plain": `{"token":"` + secret + `-token"}`,
		"location":   `{"token":"` + secret + `-token"}`,
	}
	front.Break(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		kind := ""
		for name := range tokenAnswers {
			if strings.Contains(r.URL.Path+r.URL.RawQuery, "kind-"+name+"/") || strings.Contains(r.URL.Query().Get("scope"), "kind-"+name+"/") {
				kind = name
			}
		}
		authorization := r.Header.Get("Authorization")
		switch {
		case r.URL.Path == "/token":
			w.Header().Set("X-Secret", secret)
			_, _ = io.WriteString(w, tokenAnswers[kind])
		case authorization == "":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="x",error=%q`, r.Host, secret))
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, secret)
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound) // the answers to the others have bodies
		case kind == "location":
			w.Header().Set("Location", "http://ann:"+secret+"-password@elsewhere.example/"+secret+"?sig="+secret)
			w.WriteHeader(http.StatusTemporaryRedirect)
		case kind == "echo":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":"you sent %s","detail":{"password":"%s-password","basic":%q}}]}`, authorization, secret, basicAuth("ann", secret+"-password"))
		default:
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "you sent "+authorization)
		}
	})
	helped := rig.StartTokenRegistry(t, rig.StartTokenService(t, time.Hour))
	me := newUser(t)
	me.write(t, ".docker/config.json", fmt.Sprintf(`{"auths": {%q: {"auth": %q}}, "credHelpers": {%q: "tells"}}`, front.Host, basicAuth("ann", secret+"-password"), helped.Host), 0o600)
	me.write(t, "bin/docker-credential-tells", "#!/bin/sh\necho "+secret+"-out\necho "+secret+"-err >&2\nexit 3\n", 0o755)
	daemon := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, Env: me.env()})
	workspace := rig.NewWorkspace(t)
	text := workspace.Read(t, "BUILD.bazel")
	push := func(n int, registry, repository string) {
		text += fmt.Sprintf("image_push(name = \"push_%d\", image = \":prod\", registry = %q, repository = %q, tag = \"latest\")\n", n, registry, repository)
	}
	n := 0
	for kind := range tokenAnswers {
		push(n, front.Host, "kind-"+kind+"/app")
		n++
	}
	push(n, helped.Host, "acme/app")
	n++
	workspace.Write(t, "BUILD.bazel", text)
	var targets []string
	for i := range n {
		targets = append(targets, fmt.Sprintf("//:push_%d", i))
	}
	invocation := workspace.Bazel(t, "build", append([]string{"--remote_cache=" + cache.GRPC, "--bes_backend=" + daemon.BES}, targets...)...).Invocation

	// Some of them are tried again for long; each has failed at least once.
	api := daemon.API(t)
	rig.WaitFor(t, 2*pushLimit, "every push to have failed once", func() error {
		jobs, err := api.Jobs(t.Context(), invocation, 0, 100)
		if err != nil {
			return err
		}
		rows := daemon.Ledger(t, ledger.Query{Invocation: invocation})
		if failed := len(rows) + tried(jobs); failed < n {
			return fmt.Errorf("%d of %d have", failed, n)
		}
		return nil
	})
	for _, row := range daemon.Ledger(t, ledger.Query{Invocation: invocation}) {
		if row.Outcome.Good() || row.Error == "" {
			t.Errorf("%s is %s: %s", row.Target, row.Outcome, row.Error)
		}
	}
	shown := map[string]string{"the log": daemon.Output()}
	for _, path := range []string{
		"/", "/metrics", "/invocations/" + invocation, "/api/v1/ledger", "/api/v1/ledger?invocation=" + invocation, "/api/v1/jobs", "/api/v1/jobs?invocation=" + invocation,
		"/api/v1/invocations", "/api/v1/invocations/" + invocation, "/api/v1/invocations/" + invocation + "/expected",
	} {
		shown[path] = fetched(t, daemon.URL+path)
	}
	for _, args := range [][]string{{"ledger"}, {"jobs"}} {
		cmd := exec.CommandContext(t.Context(), rig.Drayage(t), args...)
		cmd.Env = append(os.Environ(), "DRAYAGE_DAEMON="+daemon.URL)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("drayage %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		shown["drayage "+strings.Join(args, " ")] = string(out)
	}
	for where, text := range shown {
		for _, planted := range []string{secret, basicAuth("ann", secret+"-password")} {
			if i := strings.Index(text, planted); i >= 0 {
				t.Errorf("%s has a secret in it: %s", where, text[max(0, i-300):min(len(text), i+100)])
			}
		}
	}
	// What was found must be what was looked at.
	if !strings.Contains(shown["/api/v1/ledger"], "[redacted]") || !strings.Contains(shown["the log"], "gave no token") {
		t.Errorf("the pushes did not fail as they were meant to:\n%s", shown["/api/v1/ledger"])
	}
	for _, name := range []string{"drayage.db", "drayage.db-wal"} {
		if data, err := os.ReadFile(filepath.Join(daemon.Dir, name)); err == nil && strings.Contains(string(data), secret) {
			t.Errorf("%s has a secret in it", name)
		}
	}
}

// tried counts the jobs that have failed and are tried again.
func tried(jobs operator.JobPage) int {
	n := 0
	for _, job := range jobs.Jobs {
		if job.Failures > 0 && job.Error != "" {
			n++
		}
	}
	return n
}

func fetched(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	check(t, err)
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	check(t, err)
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s answers %d: %s", url, response.StatusCode, data)
	}
	return string(data)
}
