package bes_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bestest"
)

// stuck is a backend that takes nothing in until release is called.
func stuck(t *testing.T) (b *bestest.Backend, release func()) {
	t.Helper()
	released := make(chan struct{})
	b = startBackend(t, bestest.Script{OnMessage: func(int, int64) error {
		select {
		case <-released:
		case <-t.Context().Done():
		}
		return nil
	}})
	return b, func() { close(released) }
}

// bigEvents are n events of some 500 bytes.
func bigEvents(n int) [][]byte {
	events := someEvents(n)
	for i := range events {
		events[i] = append(events[i], append([]byte{0xa2, 0x06, 0xf4, 0x03}, make([]byte, 500)...)...)
	}
	return events
}

// counted sums a counter or a gauge over its labels, where they hold the given text.
func counted(t *testing.T, registry *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			if label == "" || strings.Contains(fmt.Sprint(metric.GetLabel()), label) {
				sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func TestBestEffortBackendThatFallsTooFarBehindIsGivenUpWithoutAHole(t *testing.T) {
	registry := prometheus.NewRegistry()
	b, release := stuck(t)
	r := startRelay(t, bes.Config{
		ReplayBytes: 256 << 10, Metrics: registry, Backends: []bes.Backend{{Address: b.Address}},
	})
	_, outcome := upload(t, r, bigEvents(4000))
	wantExit(t, outcome, bestest.ExitOK)
	if n := counted(t, registry, "drayage_bes_backend_streams_stopped_total", "overflow"); n != 1 {
		t.Errorf("%v streams are counted as stopped by overflow, want 1", n)
	}
	eventually(t, "all events are counted", func() bool { return counted(t, registry, "drayage_bes_events_total", "") == 4001 })
	release()
	if faults := b.Faults(); len(faults) > 0 {
		t.Errorf("backend was sent what it must not be: %v", faults)
	}
}

func TestSpoolHoldsWhatABestEffortBackendIsBehindWith(t *testing.T) {
	registry := prometheus.NewRegistry()
	dir := t.TempDir()
	b, release := stuck(t)
	r := startRelay(t, bes.Config{
		ReplayBytes: 1 << 20, SpoolDir: dir, Metrics: registry, Backends: []bes.Backend{{Address: b.Address}},
	})
	var acknowledged atomic.Int64
	bazel := &bestest.Bazel{
		Target: r.target, BuildID: "build", InvocationID: "invocation", Events: bigEvents(8000),
		AfterAcknowledgement: func(_ int, sequence int64) error {
			acknowledged.Store(sequence)
			return nil
		},
		// The disk is to have its turn now and then, on however slow a machine.
		BeforeSend: func(_ int, sequence int64) error {
			if sequence%250 == 0 {
				eventually(t, "the disk keeps up", func() bool {
					return acknowledged.Load() == sequence-1 && counted(t, registry, "drayage_bes_replay_bytes", "") < 700<<10
				})
			}
			return nil
		},
	}
	wantExit(t, bazel.Run(testContext(t)), bestest.ExitOK)
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("the spool directory shows %v, %v; want files without names", names, err)
	}
	if n := counted(t, registry, "drayage_bes_spool_bytes", ""); n < 2<<20 {
		t.Errorf("%v bytes are on disk, want most of the stream", n)
	}
	release()
	eventually(t, "everything is delivered", func() bool { return len(b.Stored("invocation")) == 8001 })
	wantStored(t, b, bazel)
}

func TestBackendThatAcknowledgesAtTheEndGetsMoreThanMemoryMayHold(t *testing.T) {
	b := startBackend(t, bestest.Script{Acknowledge: bestest.AtEnd})
	r := startRelay(t, bes.Config{ReplayBytes: 2 << 20, Backends: []bes.Backend{{Address: b.Address}}})
	bazel := &bestest.Bazel{
		Target: r.target, BuildID: "build", InvocationID: "invocation", Events: bigEvents(8000),
		// The backend takes everything in as it comes: it is to have its turn now and
		// then, on however slow a machine.
		BeforeSend: func(_ int, sequence int64) error {
			if sequence%500 == 0 {
				eventually(t, "the backend keeps up", func() bool { return len(b.Stored("invocation")) == int(sequence-1) })
			}
			return nil
		},
	}
	wantExit(t, bazel.Run(testContext(t)), bestest.ExitOK)
	eventually(t, "everything is delivered", func() bool { return len(b.Stored("invocation")) == 8001 })
	wantStored(t, b, bazel)
}

func TestStreamOverTheCapIsRefusedForNow(t *testing.T) {
	r := startRelay(t, bes.Config{MaxStreams: 1})
	request := bestest.Requests("build", "one", someEvents(1))[0]
	first := openRaw(t, r.target)
	if err := first.SendMsg(request); err != nil {
		t.Fatal(err)
	}
	if err := first.RecvMsg(new([]byte)); err != nil {
		t.Fatal(err)
	}
	second := openRaw(t, r.target)
	if err := second.RecvMsg(new([]byte)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the second stream ends %v, want RESOURCE_EXHAUSTED", err)
	}
}

func TestAClientHasNoMoreStreamsOpenThanItMay(t *testing.T) {
	var mu sync.Mutex
	var refused []string
	r := startRelay(t, bes.Config{
		MaxStreams: 3, MaxClientStreams: 2, ObserveHeaders: []string{"who"},
		Client: func(stream bes.Stream) string { return stream.Metadata["who"][0] },
		Refused: func(client string, own bool) {
			mu.Lock()
			defer mu.Unlock()
			refused = append(refused, fmt.Sprint(client, " ", own))
		},
	})
	send := func(who, id string) grpc.ClientStream {
		stream := openRaw(t, r.target, "who", who)
		// A stream that was refused may have ended by now.
		_ = stream.SendMsg(bestest.Requests("build", id, someEvents(1))[0])
		return stream
	}
	open := []grpc.ClientStream{send("ann", "1"), send("ann", "2")}
	for _, stream := range open {
		if err := stream.RecvMsg(new([]byte)); err != nil {
			t.Fatal(err)
		}
	}
	if err := send("ann", "3").RecvMsg(new([]byte)); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "ann has 2 streams open") {
		t.Errorf("the third stream of a client ends %v", err)
	}
	if err := send("bob", "4").RecvMsg(new([]byte)); err != nil {
		t.Errorf("another client's stream ends %v", err)
	}
	if err := send("eve", "5").RecvMsg(new([]byte)); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "3 streams are open") {
		t.Errorf("one more of all ends %v", err)
	}
	mu.Lock()
	if want := []string{"ann true", "eve false"}; !slices.Equal(refused, want) {
		t.Errorf("refused are %q, want %q", refused, want)
	}
	mu.Unlock()
	if err := open[0].CloseSend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a stream that has ended makes room", func() bool { return send("ann", "6").RecvMsg(new([]byte)) == nil })
}

func TestStreamWithoutAMessageEnds(t *testing.T) {
	r := startRelay(t, bes.Config{FirstMessage: 20 * time.Millisecond})
	if err := openRaw(t, r.target).RecvMsg(new([]byte)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the stream ends %v, want DEADLINE_EXCEEDED", err)
	}
}

func TestSequenceNumbersMustBeConsecutive(t *testing.T) {
	r := startRelay(t, bes.Config{})
	requests := bestest.Requests("build", "invocation", someEvents(9))
	stream := openRaw(t, r.target)
	for _, n := range []int{0, 1, 5} {
		if err := stream.SendMsg(requests[n]); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	for err == nil {
		err = stream.RecvMsg(new([]byte))
	}
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("the stream ends %v, want INVALID_ARGUMENT", err)
	}
}

func TestShutdownLetsStreamsFinishAndThenEndsThemUnavailable(t *testing.T) {
	r := startRelay(t, bes.Config{})
	health := healthOf(t, r)
	finishing, hanging := openRaw(t, r.target), openRaw(t, r.target)
	ours := bestest.Requests("build", "finishing", someEvents(1))
	for stream, request := range map[grpc.ClientStream][]byte{
		finishing: ours[0], hanging: bestest.Requests("build", "hanging", someEvents(1))[0],
	} {
		if err := stream.SendMsg(request); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(new([]byte)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- r.Shutdown(ctx) }()
	eventually(t, "health says so", func() bool { return health() == healthv1.HealthCheckResponse_NOT_SERVING })

	if err := openRaw(t, r.target).RecvMsg(new([]byte)); status.Code(err) != codes.Unavailable {
		t.Errorf("a new stream ends %v, want UNAVAILABLE", err)
	}
	if err := finishing.SendMsg(ours[1]); err != nil {
		t.Fatal(err)
	}
	if err := finishing.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := finishing.RecvMsg(new([]byte)); err != nil {
		t.Errorf("a stream that could finish was cut: %v", err)
	}
	cancel()
	if err := hanging.RecvMsg(new([]byte)); status.Code(err) != codes.Unavailable {
		t.Errorf("a stream that does not finish ends %v, want UNAVAILABLE", err)
	}
	if err := <-stopped; err == nil {
		t.Error("Shutdown says nothing of the stream that it cut")
	}
}

// healthOf serves a relay's health on its own and returns what asks for it.
func healthOf(t *testing.T, r *relay) func() healthv1.HealthCheckResponse_ServingStatus {
	t.Helper()
	conn, err := grpc.NewClient(serveHealth(t, r), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := healthv1.NewHealthClient(conn)
	return func() healthv1.HealthCheckResponse_ServingStatus {
		answer, err := client.Check(testContext(t), &healthv1.HealthCheckRequest{
			Service: "google.devtools.build.v1.PublishBuildEvent",
		})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetStatus()
	}
}

// gRPC would take 16 MiB of them, for each call.
func TestMetadataOfACallIsBounded(t *testing.T) {
	r := startRelay(t, bes.Config{})
	// The relay alone has no health service: the call that gets to it is told so.
	for size, arrives := range map[int]bool{16 << 10: true, 1 << 20: false} {
		conn, err := grpc.NewClient(r.target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-drayage-token", strings.Repeat("t", size))
		_, err = healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
		if got := status.Code(err) == codes.Unimplemented; got != arrives {
			t.Errorf("%d bytes: the call ends %v, want arrival %t", size, err, arrives)
		}
		_ = conn.Close() // the test is over for it
	}
}

func TestStreamIDsAreBounded(t *testing.T) {
	r := startRelay(t, bes.Config{})
	stream := openRaw(t, r.target)
	if err := stream.SendMsg(bestest.Requests("build", strings.Repeat("i", 300), someEvents(1))[0]); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new([]byte)); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "a part of it has 300 bytes; the limit is 256") {
		t.Errorf("the stream ends %v, want INVALID_ARGUMENT", err)
	}
}
