package bes_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bestest"
)

// TestClientMayPingAsOftenAsBazelDoes holds the server to more pings than gRPC's own
// enforcement takes before it ends the connection, which is what happens to a Bazel
// with --grpc_keepalive_time otherwise.
func TestClientMayPingAsOftenAsBazelDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	r := startRelay(t, bes.Config{})
	conn, err := net.Dial("tcp", r.target)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	// gRPC ends the connection at the third ping that comes too soon; the first one is
	// never too soon.
	const pings = 4
	// Bazel's netty never pings more often than every 10 s. The server is to take half.
	ticker := time.NewTicker(5100 * time.Millisecond)
	defer ticker.Stop()
	for n := range pings {
		if err := framer.WritePing(false, [8]byte{byte(n)}); err != nil {
			t.Fatalf("ping %d: %v", n, err)
		}
		await(t, framer, func(frame http2.Frame) bool {
			ping, ok := frame.(*http2.PingFrame)
			return ok && ping.IsAck() && ping.Data[0] == byte(n)
		})
		if n < pings-1 {
			<-ticker.C
		}
	}
	// It answers a ping before it thinks better of the connection.
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	await(t, framer, func(frame http2.Frame) bool {
		settings, ok := frame.(*http2.SettingsFrame)
		return ok && settings.IsAck()
	})
}

// await reads frames until the one that is waited for.
func await(t *testing.T, framer *http2.Framer, wanted func(http2.Frame) bool) {
	t.Helper()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			t.Fatalf("the server ends the connection: %v %s", away.ErrCode, away.DebugData())
		}
		if wanted(frame) {
			return
		}
	}
}

// TestBackendThatVanishedIsNoticed puts a wire between relay and backend which, from
// some moment on, carries nothing and says nothing, as when a machine loses power.
func TestBackendThatVanishedIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	b := startBackend(t, bestest.Script{Acknowledge: bestest.AtEnd})
	w := startDeadWire(t, b.HostPort)
	r := startRelay(t, bes.Config{Backends: []bes.Backend{{
		Address: "grpc://" + w.address, Mode: bes.Required, Keepalive: 10 * time.Second, KeepaliveTimeout: time.Second,
	}}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	bazel := &bestest.Bazel{
		Target: r.target, BuildID: "build", InvocationID: "invocation", Events: someEvents(20), RetryDelay: time.Millisecond,
		BeforeSend: func(stream int, sequence int64) error {
			if stream == 1 && sequence == 10 {
				eventually(t, "the backend has the first events", func() bool { return len(b.Stored("invocation")) == 9 })
				w.die()
			}
			return nil
		},
	}
	outcome := bazel.Run(ctx)
	wantExit(t, outcome, bestest.ExitOK)
	if outcome.Streams != 2 {
		t.Errorf("Bazel opened %d streams, want one that broke and one that did not", outcome.Streams)
	}
	wantStored(t, b, bazel)
}

// deadWire is a TCP proxy whose first connection can die without a word. Those after
// it live.
type deadWire struct {
	address string
	dead    chan struct{}
}

func (w *deadWire) die() { close(w.dead) }

func startDeadWire(t *testing.T, backend string) *deadWire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &deadWire{address: listener.Addr().String(), dead: make(chan struct{})}
	var working sync.WaitGroup
	// Cleanups run last to first: the connections are closed by then.
	t.Cleanup(working.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	working.Go(func() {
		for first := true; ; first = false {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			out, err := net.Dial("tcp", backend)
			if err != nil {
				_ = conn.Close()
				continue
			}
			t.Cleanup(func() { _ = out.Close() })
			dead := w.dead
			if !first {
				dead = nil
			}
			working.Go(func() { carry(out, conn, dead) })
			working.Go(func() { carry(conn, out, dead) })
		}
	})
	return w
}

// carry copies until dead is closed, and from then on takes in and passes nothing on.
func carry(to, from net.Conn, dead <-chan struct{}) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-dead:
			n = 0
		default:
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			_ = to.Close()
			return
		}
	}
}
