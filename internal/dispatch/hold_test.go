package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// pushes are of an invocation with the metadata and the failed targets given.
type pushes struct {
	metadata map[string]string
	failed   []string
	missing  []string
	withheld []string
	release  *store.Release
	exitCode string
	done     chan struct{}
}

func (p *pushes) Release(context.Context, string) (store.Release, bool, error) {
	if p.release == nil {
		return store.Release{}, false, nil
	}
	return *p.release, true, nil
}

func (p *pushes) Pending(context.Context, string) (int, error) { return 3, nil }

func (p *pushes) Expected(context.Context, string) ([]ledger.Expected, error) {
	list := []ledger.Expected{{Target: "//a:well", State: ledger.ExpectedEnded}}
	for _, target := range p.missing {
		list = append(list, ledger.Expected{Target: target, State: ledger.ExpectedLost})
	}
	return list, nil
}

func (p *pushes) Invocation(context.Context, string) (store.Invocation, bool, error) {
	return store.Invocation{Metadata: p.metadata, ExitCode: p.exitCode}, true, nil
}

func (p *pushes) Wait(ctx context.Context, _ string) error {
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pushes) Entries(_ context.Context, q ledger.Query) ([]ledger.Entry, error) {
	var entries []ledger.Entry
	for _, target := range map[ledger.Outcome][]string{ledger.Failed: p.failed, ledger.Withheld: p.withheld}[q.Outcome] {
		entries = append(entries, ledger.Entry{Target: target})
	}
	return entries, nil
}

// lastWait is the wait for the last message of a stream.
func lastWait(t *testing.T, p *pushes, hold dispatch.Hold) func(context.Context) error {
	t.Helper()
	hold.Pushes = p
	observer := dispatch.NewObserver(dispatch.ObserverOptions{Queue: &queue{}, Hold: hold, Logger: zerolog.Nop()})
	o := observer.Begin(t.Context(), bes.Stream{StreamID: bes.StreamID{InvocationID: "i"}, FirstSequence: 1})
	t.Cleanup(func() { o.End(nil) })
	return o.Observe(bes.Event{Sequence: 1, Finished: true})
}

func TestBuildIsHeldUntilItsPushesAreDone(t *testing.T) {
	p := &pushes{metadata: map[string]string{"DRAYAGE_HOLD": "true"}, done: make(chan struct{})}
	wait := lastWait(t, p, dispatch.Hold{})
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := wait(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the client that went away", err)
	}
	close(p.done)
	if err := wait(t.Context()); err != nil {
		t.Errorf("error is %v", err)
	}
}

func TestHeldBuildFailsWithTheTargetsWhosePushesFailed(t *testing.T) {
	p := &pushes{failed: []string{"//b:push", "//a:push"}, done: make(chan struct{})}
	close(p.done)
	err := lastWait(t, p, dispatch.Hold{Always: true})(t.Context())
	wantVerdict(t, err, "drayage: 2 pushes failed: //a:push, //b:push; see drayage ledger --invocation i")
}

func wantVerdict(t *testing.T, err error, want string) {
	t.Helper()
	verdict, ok := errors.AsType[*bes.Verdict](err)
	if !ok || status.Code(verdict.Err) != codes.FailedPrecondition {
		t.Fatalf("error is %v, want a verdict of FAILED_PRECONDITION", err)
	}
	if got := status.Convert(verdict.Err).Message(); got != want {
		t.Errorf("message is %q, want %q", got, want)
	}
}

func TestAHeldBuildThatWentWellFailsIfAnExpectedPushNeverCame(t *testing.T) {
	p := &pushes{missing: []string{"//a:push"}, exitCode: "SUCCESS", done: make(chan struct{})}
	close(p.done)
	err := lastWait(t, p, dispatch.Hold{Always: true})(t.Context())
	wantVerdict(t, err, "drayage: 1 push never came: //a:push; see drayage ledger expected i")

	p.exitCode = "BUILD_FAILURE" // Bazel has said why
	if err := lastWait(t, p, dispatch.Hold{Always: true})(t.Context()); err != nil {
		t.Errorf("a build that failed anyway ends with %v", err)
	}
}

func TestABuildThatIsHeldForTooLongFailsUnlessItMayPass(t *testing.T) {
	p := &pushes{done: make(chan struct{})}
	hold := dispatch.Hold{Always: true, Limit: time.Millisecond}
	wantVerdict(t, lastWait(t, p, hold)(t.Context()),
		"drayage: the build was held for 1ms, and 3 pushes are not done; drayage wait i goes on waiting")
	hold.PassAtLimit = true
	if err := lastWait(t, p, hold)(t.Context()); err != nil {
		t.Errorf("error is %v", err)
	}
}

func TestAHeldBuildWhoseTagsAreWithheldFailsAndSaysWhy(t *testing.T) {
	p := &pushes{
		withheld: []string{"//b:push", "//a:push"}, exitCode: "SUCCESS", done: make(chan struct{}),
		release: &store.Release{Gate: "green", State: store.ReleaseClosed, Class: "incomplete", Reason: "//c:push never came"},
	}
	close(p.done)
	wantVerdict(t, lastWait(t, p, dispatch.Hold{Always: true})(t.Context()),
		"drayage: the tags of 2 pushes are withheld (//a:push, //b:push): //c:push never came; see drayage ledger --invocation i")

	// Bazel's own exit code says what the reason is.
	p.exitCode, p.release.Class = "TESTS_FAILED", "red"
	if err := lastWait(t, p, dispatch.Hold{Always: true})(t.Context()); err != nil {
		t.Errorf("a build whose tests failed ends with %v", err)
	}
}

func TestAHeldBuildEndsWhenItsTagsCannotMoveByThemselves(t *testing.T) {
	for name, row := range map[string]struct {
		release store.Release
		failed  []string
		want    string
	}{
		"a push has failed": {
			store.Release{Gate: "green", State: store.ReleaseWaiting, Class: "failed", Reason: "not all is there: see //a:push (denied)", Blocked: true},
			[]string{"//a:push"},
			"drayage: 1 push failed: //a:push; no tag has moved: not all is there: see //a:push (denied); see drayage ledger --invocation i",
		},
		"it waits for approval, which comes after the build": {
			store.Release{Gate: "approved", State: store.ReleaseWaiting, Class: "approval", Reason: "nobody has approved it yet", Blocked: true}, nil, "",
		},
		"its tags have moved": {store.Release{Gate: "green", State: store.ReleaseOpen}, nil, ""},
	} {
		p := &pushes{failed: row.failed, exitCode: "SUCCESS", done: make(chan struct{}), release: &row.release}
		close(p.done)
		err := lastWait(t, p, dispatch.Hold{Always: true})(t.Context())
		if row.want == "" {
			if err != nil {
				t.Errorf("%s: error is %v", name, err)
			}
			continue
		}
		wantVerdict(t, err, row.want)
	}
}

func TestBuildThatDoesNotAskIsNotHeld(t *testing.T) {
	for _, row := range []struct {
		hold     dispatch.Hold
		metadata map[string]string
	}{
		{dispatch.Hold{}, nil},
		{dispatch.Hold{}, map[string]string{"DRAYAGE_HOLD": "perhaps"}},
		{dispatch.Hold{Always: true}, map[string]string{"DRAYAGE_HOLD": "false"}},
	} {
		// Were it held, it would be for ever.
		p := &pushes{metadata: row.metadata, failed: []string{"//a:push"}, done: make(chan struct{})}
		row.hold.Limit = time.Hour
		if err := lastWait(t, p, row.hold)(t.Context()); err != nil {
			t.Errorf("%+v: error is %v", row, err)
		}
	}
}
