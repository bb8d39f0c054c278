package e2e_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes/bestest"
	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

const (
	// middle is a message in the middle of the smallest build's stream.
	middle = 12
	// relayLimit bounds how long a backend may take to have a build's events.
	relayLimit = 30 * time.Second
)

// scripted starts a backend that does as it is told.
func scripted(t *testing.T, script bestest.Script) *bestest.Backend {
	t.Helper()
	backend, err := bestest.StartBackend(script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Stop)
	return backend
}

// stopsAt is a backend that says when the stream has come to its middle, and goes no
// further on its first stream.
func stopsAt(t *testing.T) (backend *bestest.Backend, reached <-chan struct{}) {
	t.Helper()
	inTheMiddle := make(chan struct{})
	return scripted(t, bestest.Script{OnMessage: func(call int, sequence int64) error {
		if call > 1 || sequence != middle {
			return nil
		}
		close(inTheMiddle)
		<-t.Context().Done()
		return status.Error(codes.Aborted, "the backend is gone")
	}}), inTheMiddle
}

// restart kills a backend and starts it again at its address, with what it had stored.
func restart(t *testing.T, old *bestest.Backend) *bestest.Backend {
	t.Helper()
	old.Stop()
	backend, err := bestest.StartBackendAt(old.HostPort, bestest.Script{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Stop)
	backend.Adopt(old)
	return backend
}

// inBackground runs a build and returns what becomes of it.
func (s *scene) inBackground(t *testing.T, args ...string) <-chan rig.BazelResult {
	t.Helper()
	done := make(chan rig.BazelResult, 1)
	go func() {
		done <- s.workspace.TryBazel(t, "build", append(append(s.flags(), "--bes_backend="+s.daemon.BES), args...)...)
	}()
	return done
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(2 * time.Minute):
		t.Fatalf("%s: not in time", what)
		panic("unreachable")
	}
}

func wantExit(t *testing.T, result rig.BazelResult, code int) {
	t.Helper()
	if result.ExitCode != code {
		t.Fatalf("Bazel exits %d, want %d:\n%s", result.ExitCode, code, result.Stderr)
	}
}

// wantStream fails unless the backend has the whole stream, each message once.
func wantStream(t *testing.T, backend *bestest.Backend, invocation string) {
	t.Helper()
	finished := func() bool {
		stored := backend.Stored(invocation)
		return len(stored) > middle && !strings.Contains(string(stored[len(stored)-1]), "build_event_stream.BuildEvent")
	}
	for deadline := time.Now().Add(relayLimit); !finished(); {
		if time.Now().After(deadline) {
			t.Fatalf("backend has %d messages, and no last one", len(backend.Stored(invocation)))
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	if faults := backend.Faults(); len(faults) > 0 {
		t.Errorf("backend was sent what it must not be: %v", faults)
	}
}

func TestBackendsKilledAndRestartedInTheMiddleOfAStream(t *testing.T) {
	t.Parallel()
	required, requiredReached := stopsAt(t)
	bestEffort, bestEffortReached := stopsAt(t)
	s := newScene(t,
		rig.DaemonBackend{Name: "required", Address: required.Address, Mode: "required"},
		rig.DaemonBackend{Name: "best effort", Address: bestEffort.Address})
	build := s.inBackground(t, "//...")
	await(t, "the required backend gets the stream's middle", requiredReached)
	await(t, "the best-effort backend gets the stream's middle", bestEffortReached)
	required, bestEffort = restart(t, required), restart(t, bestEffort)

	result := await(t, "the build ends", build)
	wantExit(t, result, 0)
	wantStream(t, required, result.Invocation)
	wantStream(t, bestEffort, result.Invocation)
	s.daemon.WaitPushed(t, result.Invocation, pushLimit)
}

func TestDaemonKilledAndRestartedInTheMiddleOfAStream(t *testing.T) {
	t.Parallel()
	backend, reached := stopsAt(t)
	s := newScene(t, rig.DaemonBackend{Name: "real", Address: backend.Address, Mode: "required"})
	build := s.inBackground(t, "//...")
	await(t, "the backend gets the stream's middle", reached)
	s.daemon.Kill()
	s.daemon.Start(t)

	result := await(t, "the build ends", build)
	wantExit(t, result, 0)
	wantStream(t, backend, result.Invocation)
	s.daemon.WaitPushed(t, result.Invocation, pushLimit)
	rows := byTarget(t, s.daemon.Ledger(t, ledger.Query{Invocation: result.Invocation}))
	for _, target := range []string{"//:push_prod", "//:push_staging"} {
		wantPushed(t, rows, target)
	}
}

func TestBackendsThatAcknowledgeAtTheEnd(t *testing.T) {
	t.Parallel()
	required := scripted(t, bestest.Script{Acknowledge: bestest.AtEnd})
	bestEffort := scripted(t, bestest.Script{Acknowledge: bestest.AtEnd})
	s := newScene(t,
		rig.DaemonBackend{Name: "required", Address: required.Address, Mode: "required"},
		rig.DaemonBackend{Name: "best effort", Address: bestEffort.Address})
	result := await(t, "the build ends", s.inBackground(t, "//..."))
	wantExit(t, result, 0)
	wantStream(t, required, result.Invocation)
	wantStream(t, bestEffort, result.Invocation)
}

func TestBestEffortBackendThatNeverAnswersIsNotNoticed(t *testing.T) {
	t.Parallel()
	backend := scripted(t, bestest.Script{Acknowledge: bestest.Never})
	s := newScene(t, rig.DaemonBackend{Name: "silent", Address: backend.Address})
	result := await(t, "the build ends", s.inBackground(t, "//...", "--bes_timeout=30s"))
	wantExit(t, result, 0)
}

func TestRequiredBackendThatNeverAnswersFailsTheBuildAsWithoutTheRelay(t *testing.T) {
	t.Parallel()
	backend := scripted(t, bestest.Script{Acknowledge: bestest.Never})
	s := newScene(t, rig.DaemonBackend{Name: "silent", Address: backend.Address, Mode: "required"})
	result := await(t, "the build ends", s.inBackground(t, "//...", "--bes_timeout=5s"))
	wantExit(t, result, 38)
	if !strings.Contains(result.Stderr, "Build Event Protocol upload") {
		t.Errorf("Bazel does not say what failed:\n%s", result.Stderr)
	}
}
