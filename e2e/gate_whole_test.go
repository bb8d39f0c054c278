package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/e2e/rig"
)

// gateFleetSize is the number of images that are released together.
const gateFleetSize = 50

func TestNoTagMovesUntilTheLastImageIsThere(t *testing.T) {
	t.Parallel()
	s := &scene{cache: rig.StartBazelRemote(t), registry: rig.StartProxy(t, rig.StartRegistry(t).Host)}
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC})
	f := gateFleet(t, s.cache, s.registry.Host, "refused", "green")
	refused := f.Images[17]
	s.registry.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") && strings.HasSuffix(r.URL.Path, refused.Digest) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"this repository is frozen"}]}`))
			return
		}
		next.ServeHTTP(w, r)
	})
	sendFleet(t, f, s.daemon)
	out, code := s.wait(t, f.Invocation)
	if code != waitDenied || !strings.Contains(out, "this repository is frozen") {
		t.Errorf("wait ended with %d, want %d:\n%s", code, waitDenied, out)
	}
	if moved := movedTags(t, f, s.registry.Host); len(moved) > 0 {
		t.Fatalf("tags of %d images have moved, although one is not there: %v", len(moved), moved)
	}

	s.registry.Break(nil)
	if out, err := s.drayage(t, "jobs", "requeue", "--invocation", f.Invocation); err != nil {
		t.Fatalf("requeue: %v\n%s", err, out)
	}
	if out, code := s.wait(t, f.Invocation); code != waitDone {
		t.Errorf("wait ended with %d, want %d:\n%s", code, waitDone, out)
	}
	if moved := movedTags(t, f, s.registry.Host); len(moved) != gateFleetSize {
		t.Errorf("tags of %d images have moved, want all %d", len(moved), gateFleetSize)
	}
}

// However often the daemon is killed while tags move: all of them have moved in the end,
// or none of them after a rollback.
func TestKillsWhileTagsMoveLeaveAllOrNone(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(t *testing.T) string{
		"sqlite":   func(*testing.T) string { return "" },
		"postgres": func(t *testing.T) string { t.Helper(); return rig.StartPostgres(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &scene{cache: rig.StartBazelRemote(t), registry: rig.StartProxy(t, rig.StartRegistry(t).Host)}
			s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC, Store: database(t), More: map[string]any{"log": map[string]any{"level": "info"}}})
			random := rand.New(rand.NewPCG(20261126, uint64(*kills)))
			before := gateFleet(t, s.cache, s.registry.Host, "before", "green")
			sendFleet(t, before, s.daemon)
			if out, code := s.wait(t, before.Invocation); code != waitDone {
				t.Fatalf("wait ended with %d:\n%s", code, out)
			}
			for round := range *kills {
				f := gateFleet(t, s.cache, s.registry.Host, fmt.Sprintf("round-%d", round), "green")
				// The kill comes when so many tags have moved.
				after := 1 + random.IntN(gateFleetSize-1)
				s.killAfterTags(t, after, func() { sendFleet(t, f, s.daemon) })
				undone := round%2 == 1
				if undone {
					if out, err := s.drayage(t, "rollback", f.Invocation); err != nil {
						t.Fatalf("rollback: %v\n%s", err, out)
					}
				}
				out, _ := s.wait(t, f.Invocation)
				moved := len(movedTags(t, f, s.registry.Host))
				switch kept := len(movedTags(t, before, s.registry.Host)); {
				case undone && (moved > 0 || kept != gateFleetSize):
					t.Errorf("round %d: killed after %d tags and rolled back: %d tags have moved, %d are where they were, want all %d:\n%s", round, after, moved, kept, gateFleetSize, out)
				case !undone && moved != gateFleetSize:
					t.Errorf("round %d: killed after %d tags: %d have moved, want all %d:\n%s", round, after, moved, gateFleetSize, out)
				case !undone:
					before = f
				}
			}
		})
	}
}

// killAfterTags kills the daemon when so many tags have been written since send began, and
// starts it again.
func (s *scene) killAfterTags(t *testing.T, tags int, send func()) {
	t.Helper()
	written, back := make(chan struct{}, 10*gateFleetSize), make(chan struct{})
	s.registry.Break(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/app") {
			written <- struct{}{}
		}
	})
	go func() {
		defer close(back)
		for range tags {
			select {
			case <-written:
			case <-t.Context().Done():
				return
			}
		}
		s.daemon.Kill()
		s.registry.Break(nil)
		s.daemon.Start(t)
	}()
	send()
	<-back
}

// gateFleet is a fleet whose images all differ from those of every other invocation, under
// the same tags.
func gateFleet(t *testing.T, cache *rig.BazelRemote, registry, invocation, gate string) *rig.Fleet {
	t.Helper()
	return rig.NewFleet(t, cache, rig.FleetPlan{
		Invocation: invocation, Registry: registry, Images: gateFleetSize, Repositories: 7, Shared: 4 << 10, Own: 512, OwnEvery: 1, Gate: gate,
	})
}

// sendFleet sends a fleet's stream as Bazel does, and tries again for a while: the daemon
// may be killed meanwhile.
func sendFleet(t *testing.T, f *rig.Fleet, d *rig.Daemon) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), killRound)
	defer cancel()
	if outcome := f.Upload(d).Run(ctx); outcome.Exit != bestest.ExitOK {
		t.Fatalf("Bazel ends with %d: %v", outcome.Exit, outcome.Err)
	}
}

// movedTags are the targets of a fleet whose tags point to their images.
func movedTags(t *testing.T, f *rig.Fleet, registry string) (targets []string) {
	t.Helper()
	for i, image := range f.Images {
		if digest, err := served(t.Context(), registry, image.Repository, fmt.Sprintf("app%d-%s", i, rig.FleetRevision)); err == nil && digest == image.Digest {
			targets = append(targets, image.Target)
		}
	}
	return targets
}
