package rig

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Meter is a TCP forwarder that counts the bytes that pass it.
type Meter struct {
	// Address is where it listens.
	Address string

	// Sent counts the bytes from clients to the server, Received those back.
	Sent, Received atomic.Int64
}

// StartMeter starts a forwarder to a server.
func StartMeter(t T, server string) *Meter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a meter: %v", err)
	}
	m := &Meter{Address: listener.Addr().String()}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			running.Go(func() { m.forward(ctx, client, server) })
		}
	})
	t.Cleanup(func() {
		cancel()
		listener.Close()
		running.Wait()
	})
	return m
}

// forward connects a client with the server until either hangs up.
func (m *Meter) forward(ctx context.Context, client net.Conn, address string) {
	defer client.Close()
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return // the client sees a connection that closes, as a crashed server's does
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() {
		client.Close()
		server.Close()
	})
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { pump(server, client, &m.Sent) })
	both.Go(func() { pump(client, server, &m.Received) })
	both.Wait()
}

// pump copies one direction, and passes its end on.
func pump(to, from net.Conn, count *atomic.Int64) {
	_, _ = io.Copy(counting{to, count}, from) // a cut connection ends it, as it should
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}

type counting struct {
	to    io.Writer
	count *atomic.Int64
}

func (c counting) Write(data []byte) (int, error) {
	n, err := c.to.Write(data)
	c.count.Add(int64(n))
	return n, err
}
