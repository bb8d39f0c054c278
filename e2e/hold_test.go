package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// bazelBESFailure is Bazel's exit code for a build event service that refused the
// stream for good.
const bazelBESFailure = 45

func TestAHeldBuildEndsWithItsPushes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	held := append(s.flags(), "--bes_backend="+s.daemon.BES, "--build_metadata=DRAYAGE_HOLD=true", "//...")

	result := s.workspace.Bazel(t, "build", held...)
	// Bazel has ended, so there is nothing to wait for.
	rows := byTarget(t, s.daemon.Ledger(t, ledger.Query{Invocation: result.Invocation}))
	wantPushed(t, rows, "//:push_prod")
	wantPushed(t, rows, "//:push_staging")

	s.workspace.Replace(t, "BUILD.bazel", `tag_list = ["git-{BUILD_SCM_REVISION}"]`, `tag_list = ["{NOBODY_SETS_THIS}"]`)
	result = s.workspace.TryBazel(t, "build", held...)
	if result.ExitCode != bazelBESFailure {
		t.Errorf("Bazel ended with %d, want %d", result.ExitCode, bazelBESFailure)
	}
	want := "drayage: 1 push failed: //:push_prod; see drayage ledger --invocation " + result.Invocation
	if !strings.Contains(result.Stderr, want) {
		t.Errorf("Bazel does not say %q:\n%s", want, result.Stderr)
	}

	// The build goes well, and what it should push is in a group that was not asked for.
	result = s.workspace.TryBazel(t, "build", append(held, "--output_groups=blobs")...)
	want = "drayage: 2 pushes never came: //:push_prod, //:push_staging; see drayage ledger expected " + result.Invocation
	if result.ExitCode != bazelBESFailure || !strings.Contains(result.Stderr, want) {
		t.Errorf("Bazel ended with %d, want %d and %q:\n%s", result.ExitCode, bazelBESFailure, want, result.Stderr)
	}
}

func TestABuildThatIsHeldForTooLongFails(t *testing.T) {
	t.Parallel()
	s := &scene{cache: rig.StartBazelRemote(t), registry: rig.StartProxy(t, rig.StartRegistry(t).Host), workspace: rig.NewWorkspace(t)}
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC, More: map[string]any{"hold": map[string]any{"always": true, "limit": "1s"}}})
	back := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(back) })
	t.Cleanup(letGo)
	s.registry.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		select {
		case <-back:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	result := s.workspace.TryBazel(t, "build", append(s.flags(), "--bes_backend="+s.daemon.BES, "//:push_staging")...)
	want := "drayage: the build was held for 1s, and 1 push is not done; drayage wait " + result.Invocation
	if result.ExitCode != bazelBESFailure || !strings.Contains(result.Stderr, want) {
		t.Errorf("Bazel ended with %d, want %d and %q:\n%s", result.ExitCode, bazelBESFailure, want, result.Stderr)
	}

	// Its pushes go on, and a wait for them survives the daemon.
	ended := make(chan int, 1)
	var out string
	go func() {
		var code int
		out, code = s.wait(t, result.Invocation)
		ended <- code
	}()
	s.daemon.Kill()
	letGo()
	s.daemon.Start(t)
	if code := <-ended; code != 0 {
		t.Errorf("wait ended with %d:\n%s", code, out)
	}
}
