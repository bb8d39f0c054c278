package bes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/internal/credhelper"
)

// backend is a configured backend and the connections to it.
type backend struct {
	Backend
	target  string
	options []grpc.DialOption
	// instance is the relay's.
	instance string
	streams  prometheus.Gauge
	// helper is nil without a credential helper.
	helper *credhelper.Helper

	mu          sync.Mutex
	connections []*connection
	closed      bool
}

// connection is one connection, shared by a bounded number of streams: servers cap
// the streams of one connection (at 100, often), and a stream over the cap waits
// without a word.
type connection struct {
	*grpc.ClientConn
	streams int
}

const (
	// streamsPerConnection is below every server's usual cap, and keeps one stream
	// that stands still from holding many others up.
	streamsPerConnection = 25
	// connectTimeout bounds the wait for a connection.
	connectTimeout = 10 * time.Second
)

// dial prepares a backend. Nothing is sent yet.
func (s *Service) dial(c Backend) (*backend, error) {
	address, secure, err := target(c.Address)
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials()
	if secure {
		config, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(config)
	}
	b := &backend{Backend: c, target: address, instance: s.instance, streams: s.metrics.backendStreams.WithLabelValues(c.Name)}
	b.options = []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(newCodec()),
			grpc.MaxCallRecvMsgSize(MaxMessageBytes),
			grpc.MaxCallSendMsgSize(MaxMessageBytes),
			// Whoever sends an event keeps it until it is acknowledged: gRPC need not.
			grpc.MaxRetryRPCBufferSize(0),
		),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		// A connection is shared by many streams: its buffers can be large.
		grpc.WithReadBufferSize(64 << 10),
		grpc.WithWriteBufferSize(64 << 10),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		// A backend whose machine vanished says nothing more: without this a stream to
		// it would stand still for as long as the system sends again, some 15 minutes.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: c.Keepalive, Timeout: c.KeepaliveTimeout}),
		// Bazel's patience is some 10 s: a backend that is back must be seen at once.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: retryGrowth, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithUserAgent("drayage"),
	}
	if c.CredentialHelper != "" {
		b.helper = credhelper.New(c.CredentialHelper, nil)
		b.options = append(b.options, grpc.WithPerRPCCredentials(credhelper.PerRPC{Helper: b.helper, Insecure: !secure}))
	}
	// Mistakes in the address show now, not with the first stream.
	probe, err := grpc.NewClient(b.target, b.options...)
	if err != nil {
		return nil, fmt.Errorf("prepare connection: %w", err)
	}
	b.connections = []*connection{{ClientConn: probe}}
	return b, nil
}

// connect returns a connection with room for one more stream, and what gives the
// room back.
func (b *backend) connect() (*connection, func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, nil, errStopping
	}
	var found *connection
	for _, c := range b.connections {
		if c.streams < streamsPerConnection {
			found = c
			break
		}
	}
	if found == nil {
		conn, err := grpc.NewClient(b.target, b.options...)
		if err != nil {
			return nil, nil, status.Errorf(codes.Unavailable, "BES backend %s: %v", b.Name, err)
		}
		found = &connection{ClientConn: conn}
		b.connections = append(b.connections, found)
	}
	found.streams++
	var once sync.Once
	return found, func() { once.Do(func() { b.disconnect(found) }) }, nil
}

// disconnect gives a stream's room back, and closes a connection that is not the
// first and that nobody needs.
func (b *backend) disconnect(c *connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.streams--
	if c.streams > 0 || c == b.connections[0] || b.closed {
		return
	}
	for n, other := range b.connections {
		if other == c {
			b.connections = append(b.connections[:n], b.connections[n+1:]...)
			_ = c.Close()
			return
		}
	}
}

func (b *backend) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	var errs []error
	for _, c := range b.connections {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

var streamDesc = grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

// open opens a stream. It does not wait for the backend's response headers: some
// backends send them after the first message only.
func (b *backend) open(ctx context.Context, md metadata.MD) (grpc.ClientStream, func(), error) {
	c, release, err := b.connect()
	if err != nil {
		return nil, nil, err
	}
	if err := c.ready(ctx); err != nil {
		release()
		return nil, nil, err
	}
	stream, err := c.NewStream(metadata.NewOutgoingContext(ctx, md), &streamDesc, streamMethod)
	if err != nil {
		release()
		return nil, nil, err
	}
	b.streams.Inc()
	var once sync.Once
	return stream, func() {
		once.Do(b.streams.Dec)
		release()
	}, nil
}

// answered looks at how a call ended: credentials that were refused are had anew.
func (b *backend) answered(err error) {
	if b.helper != nil && status.Code(err) == codes.Unauthenticated {
		b.helper.Forget()
	}
}

// ready waits until the connection is up, or was tried once more and failed: a
// backend that came back since the last try is found, one that is away fails now.
func (c *connection) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, errConnect)
	defer cancel()
	state := c.GetState()
	if state == connectivity.TransientFailure {
		c.ResetConnectBackoff()
		if !c.WaitForStateChange(ctx, state) {
			return connectError(ctx)
		}
	}
	c.Connect()
	for {
		switch state = c.GetState(); state {
		case connectivity.Idle:
			c.Connect()
		case connectivity.Connecting:
		default:
			// Of a connection that failed, NewStream says why.
			return nil
		}
		if !c.WaitForStateChange(ctx, state) {
			return connectError(ctx)
		}
	}
}

var errConnect = status.Errorf(codes.Unavailable, "no connection to the BES backend within %v", connectTimeout)

func connectError(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, errConnect) {
		return errConnect
	}
	return status.FromContextError(ctx.Err()).Err()
}

// passOn is the metadata that a backend is sent: those of the client's headers that
// it may have, and its own.
func (b *backend) passOn(ctx context.Context) metadata.MD {
	in, _ := metadata.FromIncomingContext(ctx)
	out := make(metadata.MD, len(b.PassHeaders)+len(b.Headers))
	for _, name := range b.PassHeaders {
		if values := in.Get(name); len(values) > 0 {
			out[name] = values
		}
	}
	for name, value := range b.Headers {
		out.Set(name, value)
	}
	out.Set(viaHeader, append(slices.Clone(in.Get(viaHeader)), b.instance)...)
	return out
}

// disconnect closes every connection.
func (s *Service) disconnect() {
	for _, list := range [...][]*backend{s.required, s.bestEffort} {
		for _, b := range list {
			if err := b.close(); err != nil {
				s.log.Debug().Err(err).Str("backend", b.Name).Msg("connection did not close")
			}
		}
	}
}
