package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// pushLimit bounds how long the pushes of a small build may take.
const pushLimit = time.Minute

// scene is what most scenarios need: a cache, a registry behind a proxy, a
// daemon, and a user's workspace.
type scene struct {
	cache     *rig.BazelRemote
	registry  *rig.Proxy
	daemon    *rig.Daemon
	workspace *rig.Workspace
}

func newScene(t *testing.T, backends ...rig.DaemonBackend) *scene {
	t.Helper()
	s := &scene{cache: rig.StartBazelRemote(t), registry: rig.StartProxy(t, rig.StartRegistry(t).Host)}
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC, Backends: backends})
	s.workspace = rig.NewWorkspace(t)
	return s
}

// flags are the flags of a build that fills the cache and names the registry.
func (s *scene) flags() []string {
	return []string{"--remote_cache=" + s.cache.GRPC, "--@drayage//rules/settings:registry=" + s.registry.Host}
}

// build builds targets with the daemon as BES backend, and waits for nothing.
func (s *scene) build(t *testing.T, targets ...string) rig.BazelResult {
	t.Helper()
	return s.workspace.Bazel(t, "build", append(append(s.flags(), "--bes_backend="+s.daemon.BES), targets...)...)
}

// push builds targets, waits for their pushes, and returns the ledger's rows of
// them by target.
func (s *scene) push(t *testing.T, targets ...string) map[string]ledger.Entry {
	t.Helper()
	result := s.build(t, targets...)
	s.daemon.WaitPushed(t, result.Invocation, pushLimit)
	return byTarget(t, s.daemon.Ledger(t, ledger.Query{Invocation: result.Invocation}))
}

// byTarget orders rows of one invocation, of which a target must have one, besides that of
// an image that was staged first.
func byTarget(t *testing.T, entries []ledger.Entry) map[string]ledger.Entry {
	t.Helper()
	rows := map[string]ledger.Entry{}
	for _, entry := range entries { // the newest first
		if _, later := rows[short(entry.Target)]; later && entry.Outcome == ledger.Staged {
			continue
		}
		target := short(entry.Target)
		if _, ok := rows[target]; ok {
			t.Errorf("the ledger has several rows of %s", target)
		}
		rows[target] = entry
	}
	return rows
}

// short is a label of the main repository as its users write it.
func short(label string) string { return strings.TrimLeft(label, "@") }

// want fails t unless the row is of a push that went well.
func wantPushed(t *testing.T, rows map[string]ledger.Entry, target string) ledger.Entry {
	t.Helper()
	row, ok := rows[target]
	if !ok {
		t.Fatalf("the ledger has no row of %s, only %s", target, outcomes(rows))
	}
	if !row.Outcome.Good() {
		t.Fatalf("%s: %s: %s", target, row.Outcome, row.Error)
	}
	return row
}

func outcomes(rows map[string]ledger.Entry) string {
	var all []string
	for target, row := range rows {
		all = append(all, fmt.Sprintf("%s: %s (%s)", target, row.Outcome, row.Error))
	}
	return strings.Join(all, "; ")
}

// reference names the image of a row.
func reference(row ledger.Entry) string {
	return fmt.Sprintf("%s/%s@%s", row.Registry, row.Repository, row.Digest)
}
