package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// A daemon with a policy hauls what a rule allows the client, and puts the rest on
// record as denied. Nothing of that reaches the registry.
func TestThePolicyDecidesWhatIsPushed(t *testing.T) {
	t.Parallel()
	const token = "a token that nobody else could guess"
	tokenFile := filepath.Join(rig.TempDir(t), "ci.token")
	check(t, os.WriteFile(tokenFile, []byte(token+"\n"), 0o600))
	s := &scene{cache: rig.StartBazelRemote(t), registry: rig.StartProxy(t, rig.StartRegistry(t).Host)}
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC, More: map[string]any{"policy": map[string]any{
		"tokens":  []map[string]any{{"name": "ci", "secret_file": tokenFile}},
		"rules":   []map[string]any{{"name": "staging", "clients": []string{"token:ci"}, "targets": []string{"//..."}, "repositories": []string{"*/acme/*-staging"}}},
		"operate": []string{"token:ci"},
	}, "registries": []map[string]any{{"host": s.registry.Host}}}})
	s.workspace = rig.NewWorkspace(t)
	shown := func(token string) []string {
		return append(s.flags(), "--bes_backend="+s.daemon.BES, "--bes_header=x-drayage-token="+token, "//...")
	}

	result := s.workspace.Bazel(t, "build", shown(token)...)
	s.daemon.WaitPushed(t, result.Invocation, pushLimit)
	rows := byTarget(t, s.daemon.Ledger(t, ledger.Query{Invocation: result.Invocation}))
	if row := wantPushed(t, rows, "//:push_staging"); row.Client != "token:ci" {
		t.Errorf("the ledger says that %q ran the build", row.Client)
	}
	want := "the daemon's policy does not allow token:ci to push this: rule staging allows the repositories */acme/*-staging, but not " + s.registry.Host + "/acme/server"
	if row := rows["//:push_prod"]; row.Outcome != ledger.Denied || row.ErrorClass != "policy" || row.Attempts != 1 || !strings.HasSuffix(row.Error, want) {
		t.Errorf("what no rule allows: %s (%s) after %d attempts: %s", row.Outcome, row.ErrorClass, row.Attempts, row.Error)
	}
	for _, request := range s.registry.Requests() {
		if !strings.Contains(request.URL.Path, "acme/server-staging") && request.URL.Path != "/v2/" {
			t.Errorf("the registry was asked %s %s", request.Method, request.URL)
		}
	}

	// Without the token it is somebody else's build, and with a wrong one no build.
	result = s.workspace.Bazel(t, "build", append(s.flags(), "--bes_backend="+s.daemon.BES, "//...")...)
	if rows := s.daemon.Ledger(t, ledger.Query{Invocation: result.Invocation}); len(rows) > 0 {
		t.Errorf("an anonymous build has %d rows, and no rule is for its client", len(rows))
	}
	result = s.workspace.TryBazel(t, "build", append(s.flags(), "--bes_backend="+s.daemon.BES, "--build_metadata=DRAYAGE_HOLD=true", "//...")...)
	if result.ExitCode != bazelBESFailure || !strings.Contains(result.Stderr, "2 images are not pushed: no rule of the daemon's policy is for address:127.0.0.1") {
		t.Errorf("an anonymous build that is held ended with %d:\n%s", result.ExitCode, result.Stderr)
	}
	result = s.workspace.TryBazel(t, "build", shown("another token")...)
	if result.ExitCode != bazelBESFailure || !strings.Contains(result.Stderr, "x-drayage-token: unknown token") {
		t.Errorf("with a wrong token Bazel ended with %d:\n%s", result.ExitCode, result.Stderr)
	}

	retry := exec.CommandContext(t.Context(), rig.Drayage(t), "jobs", "requeue", "--target", "//:push_prod")
	retry.Env = append(os.Environ(), "DRAYAGE_DAEMON="+s.daemon.URL)
	if out, err := retry.CombinedOutput(); err == nil || !strings.Contains(string(out), "address:127.0.0.1 is not in the daemon's policy.operate") {
		t.Errorf("requeue without a token: %v\n%s", err, out)
	}
	retry = exec.CommandContext(t.Context(), rig.Drayage(t), "jobs", "requeue", "--target", "//:push_prod")
	retry.Env = append(os.Environ(), "DRAYAGE_DAEMON="+s.daemon.URL, "DRAYAGE_TOKEN_FILE="+tokenFile)
	if out, err := retry.CombinedOutput(); err != nil {
		t.Errorf("requeue with the token: %v\n%s", err, out)
	}
}
