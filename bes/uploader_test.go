package bes_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bestest"
)

// through uploads some events through a relay with one backend.
func through(t *testing.T, mode bes.Mode, script bestest.Script) (*bestest.Backend, *bestest.Bazel, bestest.Outcome) {
	t.Helper()
	b := startBackend(t, script)
	r := startRelay(t, bes.Config{Backends: []bes.Backend{{Address: b.Address, Mode: mode, RetryDelay: time.Millisecond}}})
	bazel, outcome := upload(t, r, someEvents(9))
	return b, bazel, outcome
}

func TestAcknowledgementsOutOfOrderArePermanent(t *testing.T) {
	swap := func(_ int, sequence int64) []int64 {
		switch sequence {
		case 4:
			return nil
		case 5:
			return []int64{5, 4}
		}
		return []int64{sequence}
	}
	_, _, outcome := through(t, bes.Required, bestest.Script{Sequence: swap})
	wantExit(t, outcome, bestest.ExitPermanent)
	_, _, outcome = through(t, bes.BestEffort, bestest.Script{Sequence: swap})
	wantExit(t, outcome, bestest.ExitOK)
}

func TestAcknowledgementOfABackendThatComesTwiceReachesBazelOnce(t *testing.T) {
	twice := func(_ int, sequence int64) []int64 { return []int64{sequence, sequence} }
	for _, mode := range []bes.Mode{bes.Required, bes.BestEffort} {
		_, _, outcome := through(t, mode, bestest.Script{Sequence: twice})
		wantExit(t, outcome, bestest.ExitOK)
	}
}

func TestStreamThatEndsOKWithAnAcknowledgementMissingIsPermanent(t *testing.T) {
	b := bestest.Script{Sequence: func(_ int, sequence int64) []int64 {
		if sequence == 10 {
			return nil
		}
		return []int64{sequence}
	}}
	_, _, outcome := through(t, bes.Required, b)
	wantExit(t, outcome, bestest.ExitPermanent)
	_, _, outcome = through(t, bes.BestEffort, b)
	wantExit(t, outcome, bestest.ExitOK)
}

func TestFailureAfterTheLastAcknowledgementIsBazelsAsItIs(t *testing.T) {
	verdict := status.Error(codes.Internal, "two lines\nof why")
	script := bestest.Script{AfterAcknowledgement: once(10, verdict)}
	_, _, outcome := through(t, bes.Required, script)
	wantExit(t, outcome, bestest.ExitPermanent)
	if got := status.Convert(outcome.Err); got.Code() != codes.Internal || got.Message() != "two lines\nof why" {
		t.Errorf("Bazel sees %v", outcome.Err)
	}
	_, _, outcome = through(t, bes.BestEffort, script)
	wantExit(t, outcome, bestest.ExitOK)
}

func TestCodesThatBazelRetriesAreRetriedFourTimesWithoutProgress(t *testing.T) {
	for _, code := range []codes.Code{codes.PermissionDenied, codes.Unauthenticated, codes.Unavailable, codes.Internal} {
		refuse := func(_ int, sequence int64) error {
			if sequence == 4 {
				return status.Error(code, "no")
			}
			return nil
		}
		_, _, outcome := through(t, bes.Required, bestest.Script{OnMessage: refuse})
		wantExit(t, outcome, bestest.ExitTransient)
		// The first stream makes progress, and resets the count.
		if outcome.Streams != 6 && outcome.Streams != 5 {
			t.Errorf("%v: %d streams, want 5 or 6", code, outcome.Streams)
		}
	}
}

func TestBestEffortBackendIsGivenUpWhenRetriesAreExhausted(t *testing.T) {
	calls := make(chan int, 100)
	b, bazel, outcome := through(t, bes.BestEffort, bestest.Script{OnMessage: func(call int, sequence int64) error {
		if sequence == 4 {
			calls <- call
			return status.Error(codes.Unavailable, "no")
		}
		return nil
	}})
	wantExit(t, outcome, bestest.ExitOK)
	eventually(t, "the budget is spent", func() bool { return len(calls) == 5 || len(calls) == 6 })
	if n := len(b.Stored(bazel.InvocationID)); n != 3 {
		t.Errorf("backend has %d messages, want the first 3 and no hole", n)
	}
}

func TestBestEffortBudgetIsResetByProgress(t *testing.T) {
	// Each stream takes one message in and breaks: nine failures, none without
	// progress.
	b, bazel, outcome := through(t, bes.BestEffort, bestest.Script{AfterAcknowledgement: func(_ int, sequence int64) error {
		if sequence == 10 {
			return nil
		}
		return status.Error(codes.Unavailable, "enough for now")
	}})
	wantExit(t, outcome, bestest.ExitOK)
	eventually(t, "everything is delivered", func() bool { return len(b.Stored(bazel.InvocationID)) == 10 })
	wantStored(t, b, bazel)
}

func TestBackendThatNeverAnswers(t *testing.T) {
	_, _, outcome := through(t, bes.BestEffort, bestest.Script{Acknowledge: bestest.Never})
	wantExit(t, outcome, bestest.ExitOK)

	// Required, it is Bazel's --bes_timeout that ends the wait.
	b := startBackend(t, bestest.Script{Acknowledge: bestest.Never})
	r := startRelay(t, bes.Config{Backends: []bes.Backend{{Address: b.Address, Mode: bes.Required}}})
	ctx, cancel := context.WithCancel(t.Context())
	bazel := &bestest.Bazel{Target: r.target, BuildID: "build", InvocationID: "invocation", Events: someEvents(9)}
	done := make(chan bestest.Outcome)
	go func() { done <- bazel.Run(ctx) }()
	eventually(t, "everything is forwarded", func() bool { return len(b.Stored("invocation")) == 10 })
	cancel()
	wantExit(t, <-done, bestest.ExitTransient)
}

func TestBackendThatKeepsItsStreamOpenAfterTheLastAcknowledgement(t *testing.T) {
	for _, mode := range []bes.Mode{bes.Required, bes.BestEffort} {
		b, bazel, outcome := through(t, mode, bestest.Script{Linger: true})
		wantExit(t, outcome, bestest.ExitOK)
		eventually(t, "everything is delivered", func() bool { return len(b.Stored(bazel.InvocationID)) == 10 })
	}
}

func TestStreamWithoutStateThatBeginsInItsMiddleIsTakenAndMarked(t *testing.T) {
	w := &watcher{}
	b := startBackend(t, bestest.Script{})
	r := startRelay(t, bes.Config{Observer: w, Backends: []bes.Backend{{Address: b.Address, Mode: bes.Required}}})
	bazel := &bestest.Bazel{BuildID: "build", InvocationID: "invocation"}
	requests := bestest.Requests("build", "invocation", someEvents(9))
	send(t, r.target, requests[6:])
	if stored := b.Stored(bazel.InvocationID); len(stored) != 4 {
		t.Errorf("backend has %d messages, want 4", len(stored))
	}
	w.wantSeen(t, 7, 10)
	if w.begun[0].FirstSequence != 7 {
		t.Errorf("observer is told that the stream begins with %d, want 7", w.begun[0].FirstSequence)
	}
}

func TestHeadersOfTheAllowListAreSentOnAndNoOthers(t *testing.T) {
	b := startBackend(t, bestest.Script{})
	own := map[string]string{"X-Own": "mine"}
	r := startRelay(t, bes.Config{Backends: []bes.Backend{{Address: b.Address, Mode: bes.Required, Headers: own}}})
	bazel := &bestest.Bazel{
		Target: r.target, BuildID: "build", InvocationID: "invocation", Events: someEvents(1), Lifecycle: true,
		Header: metadata.Pairs("x-buildbuddy-api-key", "key", "authorization", "Bearer secret",
			"build.bazel.remote.execution.v2.requestmetadata-bin", "\x00\x01"),
	}
	wantExit(t, bazel.Run(testContext(t)), bestest.ExitOK)
	for n, md := range b.Headers() {
		if got := md.Get("x-buildbuddy-api-key"); !slices.Equal(got, []string{"key"}) {
			t.Errorf("call %d: x-buildbuddy-api-key is %q", n, got)
		}
		if got := md.Get("build.bazel.remote.execution.v2.requestmetadata-bin"); !slices.Equal(got, []string{"\x00\x01"}) {
			t.Errorf("call %d: request metadata is %q", n, got)
		}
		if got := md.Get("x-own"); !slices.Equal(got, []string{"mine"}) {
			t.Errorf("call %d: x-own is %q", n, got)
		}
		if got := md.Get("authorization"); len(got) > 0 {
			t.Errorf("call %d: authorization was passed on", n)
		}
	}
}

func TestLifecycleEventsArriveInOrderAroundTheStream(t *testing.T) {
	for _, mode := range []bes.Mode{bes.Required, bes.BestEffort} {
		b := startBackend(t, bestest.Script{Linger: true})
		r := startRelay(t, bes.Config{Backends: []bes.Backend{{Address: b.Address, Mode: mode}}})
		bazel := &bestest.Bazel{Target: r.target, BuildID: "build", InvocationID: "i", Events: someEvents(50), Lifecycle: true}
		wantExit(t, bazel.Run(testContext(t)), bestest.ExitOK)
		want := []string{"BuildEnqueued", "InvocationAttemptStarted", "stream i", "InvocationAttemptFinished", "BuildFinished"}
		eventually(t, "all calls come", func() bool { return len(b.Calls()) == len(want) })
		if got := b.Calls(); !slices.Equal(got, want) {
			t.Errorf("%v: calls came as %v, want %v", mode, got, want)
		}
	}
}

func TestLifecycleEventIsAnsweredThoughTheBackendDoesNot(t *testing.T) {
	hang := func(ctx context.Context, _ *buildv1.PublishLifecycleEventRequest) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for mode, exit := range map[bes.Mode]int{bes.Required: bestest.ExitTransient, bes.BestEffort: bestest.ExitOK} {
		b := startBackend(t, bestest.Script{OnLifecycle: hang})
		r := startRelay(t, bes.Config{
			LifecycleTimeout: 20 * time.Millisecond,
			Backends:         []bes.Backend{{Name: "slow", Address: b.Address, Mode: mode, RetryDelay: time.Millisecond}},
		})
		bazel := &bestest.Bazel{Target: r.target, BuildID: "build", InvocationID: "i", Events: someEvents(1), Lifecycle: true}
		outcome := bazel.Run(testContext(t))
		wantExit(t, outcome, exit)
		if exit != bestest.ExitOK && !strings.Contains(outcome.Err.Error(), "slow did not answer") {
			t.Errorf("Bazel sees %v", outcome.Err)
		}
	}
}

func TestVerdictIsGivenOnceEverythingIsAcknowledged(t *testing.T) {
	w := &watcher{wait: func(sequence int64) func(context.Context) error {
		if sequence != 10 {
			return nil
		}
		return func(context.Context) error {
			return &bes.Verdict{Err: status.Error(codes.FailedPrecondition, "//app:push was not pushed")}
		}
	}}
	r := startRelay(t, bes.Config{Observer: w})
	_, outcome := upload(t, r, someEvents(9))
	wantExit(t, outcome, bestest.ExitPermanent)
	if outcome.Acknowledged != 10 || status.Convert(outcome.Err).Message() != "//app:push was not pushed" {
		t.Errorf("%d messages are acknowledged, then %v", outcome.Acknowledged, outcome.Err)
	}
}

func TestMessageOfManyMegabytes(t *testing.T) {
	event := append([]byte{0x9a, 0x06, 0x80, 0x80, 0x80, 0x18}, make([]byte, 48<<20)...)
	b := startBackend(t, bestest.Script{})
	r := startRelay(t, bes.Config{Backends: []bes.Backend{{Address: b.Address, Mode: bes.Required}}})
	bazel, outcome := upload(t, r, [][]byte{event})
	wantExit(t, outcome, bestest.ExitOK)
	wantStored(t, b, bazel)
}

func TestClientThatVanishesEndsTheObservation(t *testing.T) {
	w := &watcher{}
	r := startRelay(t, bes.Config{Observer: w, Linger: 10 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	bazel := &bestest.Bazel{
		Target: r.target, BuildID: "build", InvocationID: "invocation", Events: someEvents(9),
		BeforeSend: func(_ int, sequence int64) error {
			if sequence == 5 {
				<-ctx.Done()
				return errInjected
			}
			return nil
		},
		AfterAcknowledgement: func(int, int64) error {
			cancel()
			return errInjected
		},
	}
	if outcome := bazel.Run(ctx); !errors.Is(outcome.Err, context.Canceled) {
		t.Fatalf("outcome %+v", outcome)
	}
	eventually(t, "the observation ends", func() bool { return len(w.endings()) == 1 })
	if err := w.endings()[0]; err == nil {
		t.Error("the observation ended well")
	}
}
