package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

func TestAnOlderBuildThatFinishesLateLeavesTheTagOfANewerOne(t *testing.T) {
	t.Parallel()
	for _, gate := range []string{"pushed", "green"} {
		t.Run(gate, func(t *testing.T) {
			t.Parallel()
			olderFinishesLate(t, "--build_metadata=DRAYAGE_RELEASE="+gate)
		})
	}
}

func olderFinishesLate(t *testing.T, gate string) {
	t.Helper()
	s := newScene(t)
	s.push(t, gate, "//:push_prod") // so that the daemon has spoken with the registry before
	stuck, letGo := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(letGo) })
	t.Cleanup(release)
	s.registry.Break(stuckFirstLookUp(stuck, letGo))

	older := s.build(t, gate, "//:push_staging")
	select {
	case <-stuck:
	case <-time.After(pushLimit):
		t.Fatal("nobody asks for the tag")
	}
	s.workspace.Write(t, "config/staging", "greeting = hello from a newer build\n")
	newer := s.push(t, gate, "//:push_staging")
	release()
	s.daemon.WaitPushed(t, older.Invocation, pushLimit)

	rows := byTarget(t, s.daemon.Ledger(t, ledger.Query{Invocation: older.Invocation}))
	want := wantPushed(t, newer, "//:push_staging")
	row := rows["//:push_staging"]
	if row.Outcome != ledger.Superseded || !strings.Contains(row.Error, want.InvocationID) {
		t.Errorf("the older build's push is %s: %s", row.Outcome, row.Error)
	}
	digest, err := rig.PullImage(t, want.Registry+"/"+want.Repository+":latest").Digest()
	check(t, err)
	if digest.String() != want.Digest {
		t.Errorf("the tag is at %s, want the newer build's %s", digest, want.Digest)
	}
	// The older image is there all the same, by its digest.
	rig.PullImage(t, reference(row))
}

// stuckFirstLookUp keeps the first question for a tag unanswered until letGo.
func stuckFirstLookUp(stuck chan<- struct{}, letGo <-chan struct{}) rig.Fault {
	var asked atomic.Bool
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, "/manifests/latest") && asked.CompareAndSwap(false, true) {
			close(stuck)
			<-letGo
		}
		next.ServeHTTP(w, r)
	}
}

// Two builds write a tag one right after the other. Each row says what its own build wrote
// over, so that each can be rolled back by one step.
func TestWhatATagPointedToIsKnownWhoeverWroteItMeanwhile(t *testing.T) {
	t.Parallel()
	cache, registry := rig.StartBazelRemote(t), rig.StartProxy(t, rig.StartRegistry(t).Host)
	s := &scene{cache: cache, registry: registry, daemon: rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC})}
	plan := rig.FleetPlan{Registry: registry.Host, Images: 1, Repositories: 1, Shared: 1 << 10, Own: 512, OwnEvery: 1}
	fleet := func(invocation string) *rig.Fleet {
		plan.Invocation = invocation
		return rig.NewFleet(t, cache, plan)
	}
	// The first build stands before its tag until the second has looked at it.
	looked, letGo := make(chan struct{}, 10), make(chan struct{})
	registry.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		tag := strings.Contains(r.URL.Path, "/manifests/app0-")
		if tag && r.Method == http.MethodPut {
			select {
			case <-letGo:
			case <-r.Context().Done():
			}
		}
		next.ServeHTTP(w, r)
		if tag && r.Method == http.MethodHead {
			looked <- struct{}{}
		}
	})
	first, second := fleet("first"), fleet("second")
	for _, f := range []*rig.Fleet{first, second} {
		sendFleet(t, f, s.daemon)
		select {
		case <-looked:
		case <-time.After(pushLimit):
			t.Fatal("nobody asks for the tag")
		}
	}
	close(letGo)
	for _, f := range []*rig.Fleet{first, second} {
		s.daemon.WaitPushed(t, f.Invocation, pushLimit)
	}
	row := s.lastRow(t, second.Invocation)
	if len(row.Tags) != 1 || row.Tags[0].Previous != first.Images[0].Digest {
		t.Errorf("the second build wrote over %s, and its row says %+v", first.Images[0].Digest, row.Tags)
	}
	if out, err := s.drayage(t, "rollback", second.Invocation, "--wait"); err != nil {
		t.Fatalf("rollback: %v\n%s", err, out)
	}
	if moved := movedTags(t, first, registry.Host); len(moved) != 1 {
		t.Error("the tag does not point to the first build's image after the second was rolled back")
	}
}
