package bes_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bestest"
)

// relay is a running relay.
type relay struct {
	*bes.Service
	target string
	server *grpc.Server
	served chan struct{}
}

// startRelay starts a relay with delays that suit a test; the test's end stops it.
func startRelay(t *testing.T, config bes.Config) *relay {
	t.Helper()
	return startRelayAt(t, "127.0.0.1:0", config)
}

// startRelayAt starts a relay at an address, that of one that was killed for example.
func startRelayAt(t *testing.T, address string, config bes.Config) *relay {
	t.Helper()
	for i := range config.Backends {
		if config.Backends[i].RetryDelay == 0 {
			config.Backends[i].RetryDelay = 10 * time.Millisecond
		}
	}
	if config.FinishGrace == 0 {
		config.FinishGrace = 50 * time.Millisecond
	}
	service, err := bes.New(config)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{
		Service: service, target: listener.Addr().String(), server: grpc.NewServer(bes.ServerOptions()...),
		served: make(chan struct{}),
	}
	service.Register(r.server)
	go func() {
		defer close(r.served)
		_ = r.server.Serve(listener)
	}()
	t.Cleanup(r.kill)
	return r
}

// kill ends the relay as kill -9 does: whatever is under way breaks.
func (r *relay) kill() {
	r.server.Stop()
	<-r.served
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.Shutdown(ctx) // it says what it did not deliver
}

func startBackend(t *testing.T, script bestest.Script) *bestest.Backend {
	t.Helper()
	b, err := bestest.StartBackend(script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

// testContext ends before the test binary's own patience does.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// someEvents are events that nothing reads.
func someEvents(n int) [][]byte {
	var events [][]byte
	for i := range n {
		// Field 99 is not one that the relay knows of.
		events = append(events, append([]byte{0x9a, 0x06, 8}, fmt.Sprintf("%08d", i)...))
	}
	return events
}

func upload(t *testing.T, r *relay, events [][]byte) (*bestest.Bazel, bestest.Outcome) {
	t.Helper()
	bazel := &bestest.Bazel{
		Target: r.target, BuildID: "build", InvocationID: "invocation", Events: events, RetryDelay: 10 * time.Millisecond,
	}
	return bazel, bazel.Run(testContext(t))
}

func wantExit(t *testing.T, got bestest.Outcome, exit int) {
	t.Helper()
	if got.Exit != exit {
		t.Fatalf("Bazel exits %d after %d streams: %v; want %d", got.Exit, got.Streams, got.Err, exit)
	}
}

// wantStored fails unless the backend has every message once, in order, byte for byte.
func wantStored(t *testing.T, b *bestest.Backend, bazel *bestest.Bazel) {
	t.Helper()
	want := bazel.Requests
	if want == nil {
		want = bestest.Requests(bazel.BuildID, bazel.InvocationID, bazel.Events)
	}
	got := b.Stored(bazel.InvocationID)
	if len(got) != len(want) {
		t.Fatalf("backend has %d messages, want %d", len(got), len(want))
	}
	for n := range want {
		if !bytes.Equal(got[n], want[n]) {
			t.Fatalf("message %d is not what was sent:\n got %x\nwant %x", n+1, got[n], want[n])
		}
	}
	if faults := b.Faults(); len(faults) > 0 {
		t.Fatalf("backend was sent what it must not be: %v", faults)
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx := testContext(t)
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("%s: not so in time", what)
		}
	}
}

// watcher observes everything.
type watcher struct {
	mu     sync.Mutex
	begun  []bes.Stream
	seen   []int64
	ended  []error
	wait   func(sequence int64) func(context.Context) error
	onSeen func(bes.Event)
}

func (w *watcher) Begin(_ context.Context, s bes.Stream) bes.Observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = append(w.begun, s)
	return w
}

func (w *watcher) Observe(e bes.Event) func(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, e.Sequence)
	if w.onSeen != nil {
		w.onSeen(e)
	}
	if w.wait != nil {
		return w.wait(e.Sequence)
	}
	return nil
}

func (w *watcher) End(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = append(w.ended, err)
}

// wantSeen fails unless messages from to to were observed, each one once, in order.
func (w *watcher) wantSeen(t *testing.T, from, to int64) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if int64(len(w.seen)) != to-from+1 {
		t.Fatalf("observed %d messages, want %d: %v", len(w.seen), to-from+1, w.seen)
	}
	for n, sequence := range w.seen {
		if sequence != from+int64(n) {
			t.Fatalf("observed %v, want %d to %d", w.seen, from, to)
		}
	}
}

func (w *watcher) endings() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]error(nil), w.ended...)
}

func TestWithoutABackendEveryMessageIsAcknowledged(t *testing.T) {
	w := &watcher{}
	r := startRelay(t, bes.Config{Observer: w})
	_, outcome := upload(t, r, someEvents(50))
	wantExit(t, outcome, bestest.ExitOK)
	w.wantSeen(t, 1, 51)
	if ended := w.endings(); len(ended) != 1 || ended[0] != nil {
		t.Errorf("observation ended %v, want once and well", ended)
	}
}

func TestBackendGetsTheBytesThatBazelSent(t *testing.T) {
	for _, mode := range []bes.Mode{bes.Required, bes.BestEffort} {
		for _, acknowledge := range []bestest.Acknowledgement{bestest.Each, bestest.AtEnd} {
			t.Run(fmt.Sprint(mode, acknowledge), func(t *testing.T) {
				b := startBackend(t, bestest.Script{Acknowledge: acknowledge})
				r := startRelay(t, bes.Config{Backends: []bes.Backend{{Address: b.Address, Mode: mode}}})
				bazel, outcome := upload(t, r, someEvents(500))
				wantExit(t, outcome, bestest.ExitOK)
				eventually(t, "everything is stored", func() bool { return len(b.Stored(bazel.InvocationID)) == 501 })
				wantStored(t, b, bazel)
			})
		}
	}
}

func TestNothingIsAcknowledgedBeforeItIsDurable(t *testing.T) {
	durable := make(chan struct{})
	w := &watcher{wait: func(sequence int64) func(context.Context) error {
		if sequence != 3 {
			return nil
		}
		return func(ctx context.Context) error {
			select {
			case <-durable:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}}
	b := startBackend(t, bestest.Script{})
	r := startRelay(t, bes.Config{Observer: w, Backends: []bes.Backend{{Address: b.Address, Mode: bes.Required}}})
	var highest int64
	bazel := &bestest.Bazel{
		Target: r.target, BuildID: "build", InvocationID: "invocation", Events: someEvents(9),
		AfterAcknowledgement: func(_ int, sequence int64) error {
			select {
			case <-durable:
			default:
				highest = sequence
			}
			return nil
		},
	}
	done := make(chan bestest.Outcome)
	go func() { done <- bazel.Run(testContext(t)) }()
	// Forwarding waits for nothing.
	eventually(t, "everything is forwarded", func() bool { return len(b.Stored("invocation")) == 10 })
	close(durable)
	wantExit(t, <-done, bestest.ExitOK)
	if highest > 2 {
		t.Errorf("message %d was acknowledged before message 3 was durable", highest)
	}
}

func TestFailedWaitEndsTheStreamAndTheReplayIsObservedAnew(t *testing.T) {
	failures := 1
	w := &watcher{wait: func(sequence int64) func(context.Context) error {
		if sequence != 5 {
			return nil
		}
		return func(context.Context) error {
			if failures > 0 {
				failures--
				return errors.New("the disk is full")
			}
			return nil
		}
	}}
	b := startBackend(t, bestest.Script{})
	r := startRelay(t, bes.Config{Observer: w, Backends: []bes.Backend{{Address: b.Address, Mode: bes.Required}}})
	bazel, outcome := upload(t, r, someEvents(9))
	wantExit(t, outcome, bestest.ExitOK)
	wantStored(t, b, bazel)
	if outcome.Streams != 2 {
		t.Errorf("it took %d streams, want 2", outcome.Streams)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.begun) != 2 || len(w.ended) != 2 || w.ended[0] == nil || w.ended[1] != nil {
		t.Errorf("%d observations, which ended %v; want two, the first of which failed", len(w.begun), w.ended)
	}
	first := int64(0)
	for n, sequence := range w.seen {
		if n > 0 && sequence <= w.seen[n-1] {
			first = sequence
		}
	}
	if len(w.begun) == 2 && (first == 0 || first > 5 || w.begun[1].FirstSequence != first) {
		t.Errorf("the second observation began with %d, and said %d", first, w.begun[1].FirstSequence)
	}
}
