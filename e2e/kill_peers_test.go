package e2e_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

func TestTwoDaemonsThatHaulOneBuildTakeNoBlobTwice(t *testing.T) {
	t.Parallel()
	cache, registry := rig.StartBazelRemote(t), rig.StartProxy(t, rig.StartRegistry(t).Host)
	config := rig.DaemonConfig{CAS: cache.GRPC, Store: rig.StartPostgres(t)}
	first, second := rig.StartDrayaged(t, config), rig.StartDrayaged(t, config)
	f := rig.NewFleet(t, cache, rig.FleetPlan{
		Invocation: "shared", Registry: registry.Host, Images: 100, Repositories: 100, Shared: 2 << 20, Own: 32 << 10, OwnEvery: 1,
	})
	// Slow enough that the layer that all share is under way when the second daemon
	// needs it.
	registry.Break(rig.Slow(8 << 20))
	send(t, f, first)
	second.WaitPushed(t, f.Invocation, pushLimit)

	taken := map[string]int{}
	for _, r := range registry.Requests() {
		if digest := r.URL.Query().Get("digest"); digest != "" && r.Status == http.StatusCreated && r.Sent > 0 {
			taken[digest]++
		}
	}
	for digest, n := range taken {
		if n > 1 {
			t.Errorf("%s was sent %d times", digest, n)
		}
	}
	if want := 1 + 2*len(f.Images); len(taken) != want { // a layer for all, and a layer and a config for each
		t.Errorf("%d blobs were sent, want %d", len(taken), want)
	}
	var bytes int64
	for _, row := range allRows(t, second, ledger.Query{Invocation: f.Invocation}) {
		if !row.Outcome.Good() {
			t.Errorf("%s: %s %s", row.Target, row.Outcome, row.Error)
		}
		bytes += row.Uploaded.Bytes
	}
	if limit := int64(2<<20 + 100*(33<<10)); bytes > limit {
		t.Errorf("the ledger counts %d bytes, want at most %d", bytes, limit)
	}
	for name, d := range map[string]*rig.Daemon{"first": first, "second": second} {
		if !strings.Contains(d.Output(), "image is in the registry") {
			t.Errorf("the %s daemon hauled nothing", name)
		}
	}
}

func TestAStalledDaemonThatComesBackWritesNoRowAndMovesNoTag(t *testing.T) {
	t.Parallel()
	cache, registry := rig.StartBazelRemote(t), rig.StartProxy(t, rig.StartRegistry(t).Host)
	config := rig.DaemonConfig{CAS: cache.GRPC, Store: rig.StartPostgres(t), More: map[string]any{"stall_limit": "3s"}}
	stalled := rig.StartDrayaged(t, config)
	plan := rig.FleetPlan{Invocation: "older", Registry: registry.Host, Images: 2, Repositories: 2, Shared: 1024, Own: 1024, OwnEvery: 1}
	older := rig.NewFleet(t, cache, plan)
	plan.Invocation = "newer"
	newer := rig.NewFleet(t, cache, plan)

	inTheMiddle, gone := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(gone) })
	t.Cleanup(letGo)
	registry.Break(stuckUploads(inTheMiddle, gone))
	send(t, older, stalled)
	select {
	case <-inTheMiddle:
	case <-time.After(pushLimit):
		t.Fatal("nothing is being uploaded")
	}
	signal(t, stalled, syscall.SIGSTOP)
	registry.Break(nil)
	letGo()

	healthy := rig.StartDrayaged(t, config)
	healthy.WaitPushed(t, older.Invocation, pushLimit)
	checkFleet(t, older, registry.Host, allRows(t, healthy, ledger.Query{Invocation: older.Invocation}))
	// A newer build moves the tags on before the stalled daemon comes back.
	send(t, newer, healthy)
	healthy.WaitPushed(t, newer.Invocation, pushLimit)

	signal(t, stalled, syscall.SIGCONT)
	rig.WaitFor(t, pushLimit, "the stalled daemon to end its jobs", func() error {
		// It had begun one upload at least.
		if !strings.Contains(stalled.Output(), "the job was given to another worker meanwhile") {
			return errors.New("it has not noticed that it has lost them")
		}
		return nil
	})
	if rows := allRows(t, healthy, ledger.Query{Invocation: older.Invocation}); len(rows) != len(older.Images) {
		t.Errorf("the older build has %d rows, want %d", len(rows), len(older.Images))
	}
	checkFleet(t, newer, registry.Host, allRows(t, healthy, ledger.Query{Invocation: newer.Invocation}))
}

// send has Bazel send a fleet's stream to a daemon, to the end.
func send(t *testing.T, f *rig.Fleet, d *rig.Daemon) {
	t.Helper()
	if outcome := f.Upload(d).Run(t.Context()); outcome.Exit != bestest.ExitOK {
		t.Fatalf("Bazel ends with %d: %v", outcome.Exit, outcome.Err)
	}
}

func signal(t *testing.T, d *rig.Daemon, s syscall.Signal) {
	t.Helper()
	check(t, syscall.Kill(d.PID(), s))
}
