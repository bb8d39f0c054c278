package e2e_test

import (
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// takeOver is how soon a daemon has to have finished a dead one's jobs.
const takeOver = 10 * time.Second

func TestOfTwoDaemonsOnOneDatabaseOneFinishesTheOthersJobs(t *testing.T) {
	t.Parallel()
	cache, registry := rig.StartBazelRemote(t), rig.StartProxy(t, rig.StartRegistry(t).Host)
	config := rig.DaemonConfig{CAS: cache.GRPC, Store: rig.StartPostgres(t)}
	first := rig.StartDrayaged(t, config)
	s := &scene{cache: cache, registry: registry, daemon: first, workspace: rig.NewWorkspace(t)}

	inTheMiddle, gone := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(gone) })
	t.Cleanup(letGo)
	registry.Break(stuckUploads(inTheMiddle, gone))
	result := s.build(t, "//...")
	select {
	case <-inTheMiddle:
	case <-time.After(pushLimit):
		t.Fatal("no layer is being uploaded")
	}
	second := rig.StartDrayaged(t, config)
	first.Kill()
	letGo()
	registry.Break(nil)

	second.WaitPushed(t, result.Invocation, takeOver)
	rows := byTarget(t, second.Ledger(t, ledger.Query{Invocation: result.Invocation}))
	for _, target := range []string{"//:push_prod", "//:push_staging"} {
		row := wantPushed(t, rows, target)
		rig.Unpack(t, rig.PullImage(t, reference(row)), rig.TempDir(t))
	}
}
