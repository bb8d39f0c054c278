package e2e_test

import (
	"strings"
	"testing"

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
}
