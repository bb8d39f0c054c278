package e2e_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// More pushes than the daemon has workers are on their way to a registry that takes
// connections and never answers. Nobody else waits for it for long, and nothing is
// lost once it is back.
func TestARegistryThatNeverAnswersHoldsNobodyElseUp(t *testing.T) {
	t.Parallel()
	const workers, stuck = 4, 6
	cache, silent, other := rig.StartBazelRemote(t), rig.StartProxy(t, rig.StartRegistry(t).Host), rig.StartRegistry(t)
	daemon := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, More: map[string]any{"workers": workers}})
	back := make(chan struct{})
	var asked atomic.Int64
	silent.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		asked.Add(1)
		select {
		case <-back:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	workspace := rig.NewWorkspace(t)
	text := workspace.Read(t, "BUILD.bazel")
	var targets []string
	for n := range stuck {
		text += fmt.Sprintf("image_push(name = \"stuck_%d\", image = \":prod\", registry = \"registry.example\", repository = \"acme/stuck-%[1]d\", tag = \"latest\")\n", n)
		targets = append(targets, fmt.Sprintf("//:stuck_%d", n))
	}
	workspace.Write(t, "BUILD.bazel", text)
	build := func(registry string, targets ...string) string {
		flags := []string{"--remote_cache=" + cache.GRPC, "--bes_backend=" + daemon.BES, "--@drayage//rules/settings:registry=" + registry}
		return workspace.Bazel(t, "build", append(flags, targets...)...).Invocation
	}

	stuckBuild := build(silent.Host, targets...)
	rig.WaitFor(t, pushLimit, "all workers to wait for the silent registry", func() error {
		if n := asked.Load(); n < workers {
			return fmt.Errorf("it was asked %d times", n)
		}
		return nil
	})
	quickBuild := build(other.Host, "//:push_staging")
	daemon.WaitPushed(t, quickBuild, pushLimit)
	wantPushed(t, byTarget(t, daemon.Ledger(t, ledger.Query{Invocation: quickBuild})), "//:push_staging")
	if rows := daemon.Ledger(t, ledger.Query{Invocation: stuckBuild}); len(rows) != 0 {
		t.Fatalf("%d pushes to a registry that says nothing have ended", len(rows))
	}

	close(back)
	daemon.WaitPushed(t, stuckBuild, pushLimit)
	rows := byTarget(t, daemon.Ledger(t, ledger.Query{Invocation: stuckBuild}))
	for _, target := range targets {
		if row := wantPushed(t, rows, target); row.Attempts != 1 {
			t.Errorf("%s counts %d attempts: to make room is none", row.Target, row.Attempts)
		}
	}
}
