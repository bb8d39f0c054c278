package bes

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Service is the relay: google.devtools.build.v1.PublishBuildEvent, served to Bazel
// and forwarded to the backends.
type Service struct {
	config  Config
	log     zerolog.Logger
	metrics *metrics
	health  *health.Server
	// instance tells this relay from all others.
	instance string

	required   []*backend
	bestEffort []*backend

	// ctx ends with the service.
	ctx    context.Context
	cancel context.CancelFunc
	// stopping is closed when no new stream is taken.
	stopping chan struct{}

	mu          sync.Mutex
	invocations map[key]*invocation
	orders      map[buildKey]*buildOrder
	open        map[*incoming]struct{}
	// clients counts those that are open by who sends them.
	clients map[string]int
	closed  bool

	// spool is nil without a directory for it.
	spool *spool
	// replayBytes is what all couriers keep.
	replayBytes atomic.Int64

	// streams counts the incoming streams that are open, background every other
	// goroutine.
	streams    sync.WaitGroup
	background sync.WaitGroup
}

// New makes a service. Backends are connected to when they are needed.
func New(config Config) (*Service, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure the BES relay: %w", err)
	}
	s := &Service{
		config:      config,
		log:         config.Logger,
		health:      newHealth(),
		instance:    uuid.NewString(),
		stopping:    make(chan struct{}),
		invocations: make(map[key]*invocation),
		orders:      make(map[buildKey]*buildOrder),
		open:        make(map[*incoming]struct{}),
		clients:     make(map[string]int),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.metrics, err = newMetrics(config.Metrics, s.replayBytes.Load, s.spoolBytes)
	if err != nil {
		return nil, fmt.Errorf("register metrics of the BES relay: %w", err)
	}
	if config.SpoolDir != "" {
		if s.spool, err = newSpool(config.SpoolDir, config.SpoolBytes); err != nil {
			return nil, fmt.Errorf("configure the BES relay: %w", err)
		}
	}
	for _, c := range config.Backends {
		b, err := s.dial(c)
		if err != nil {
			s.cancel()
			s.disconnect()
			return nil, fmt.Errorf("backend %q: %w", c.Name, err)
		}
		if c.Mode == Required {
			s.required = append(s.required, b)
		} else {
			s.bestEffort = append(s.bestEffort, b)
		}
	}
	s.background.Go(s.sweep)
	if s.spool != nil {
		s.background.Go(func() { s.spool.run(s.ctx) })
	}
	return s, nil
}

func (s *Service) spoolBytes() int64 {
	if s.spool == nil {
		return 0
	}
	return s.spool.used.Load()
}

// The windows do not grow: what gRPC does to find out by how much they might is a
// ping and its answer for every few events, and more system calls than the events.
const (
	// streamWindow is how many bytes of one stream can wait here to be read. It is
	// what a stream costs whose backend stands still.
	streamWindow = 256 << 10
	// connWindow is the same for the streams that share a connection.
	connWindow = 1 << 20
)

// maxHeaders bounds the metadata of a call, in bytes. gRPC's own bound is 16 MiB, for each of
// any number of calls. Tokens have a few KiB.
const maxHeaders = 64 << 10

// ServerOptions are what a gRPC server that serves a [Service] needs: the codec that
// leaves events as they are, messages of 64 MiB, keepalive as Bazel does it.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
		grpc.MaxHeaderListSize(maxHeaders),
		// Bazel with --grpc_keepalive_time is cut off after 31 s otherwise.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		// A client that vanished without a word is noticed within two minutes.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 30 * time.Second}),
	}
}

// admit counts an incoming stream in, unless there are too many or the service stops.
func (s *Service) admit(in *incoming) error {
	if s.looped(in.ctx) {
		return errLoop
	}
	in.client = s.config.Client(s.describe(in.ctx, StreamID{}))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errStopping
	}
	own, all := s.clients[in.client], len(s.open)
	switch {
	case own >= s.config.MaxClientStreams:
		s.metrics.refused.Inc()
		s.config.Refused(in.client, true)
		return status.Errorf(codes.ResourceExhausted, "%s has %d streams open, and may have no more; try again", in.client, own)
	case all >= s.config.MaxStreams:
		s.metrics.refused.Inc()
		s.config.Refused(in.client, false)
		return status.Errorf(codes.ResourceExhausted, "%d streams are open, and the relay takes no more; try again", all)
	}
	s.clients[in.client]++
	s.open[in] = struct{}{}
	s.metrics.streams.Inc()
	s.streams.Add(1)
	return nil
}

// attach finds or makes the state of an invocation, and attaches the incoming stream to
// it. An earlier one is ended first: Bazel has given up on it.
func (s *Service) attach(in *incoming, k key) (*invocation, error) {
	for {
		s.mu.Lock()
		i := s.invocations[k]
		if i == nil {
			i = &invocation{key: k, required: make([]int64, len(s.required))}
			s.invocations[k] = i
		}
		i.mu.Lock()
		before := i.attached
		if before == nil {
			i.attached = in
			in.invocation = i
		}
		i.mu.Unlock()
		s.mu.Unlock()
		if before == nil {
			in.events = s.metrics.stream()
			return i, nil
		}
		before.end(status.Error(codes.Aborted, "the client opened this stream again"))
		if err := before.awaitRelease(in.ctx); err != nil {
			return nil, err
		}
	}
}

// takeoverTimeout is how long an incoming stream may take to let go of its invocation.
const takeoverTimeout = 10 * time.Second

func (in *incoming) awaitRelease(ctx context.Context) error {
	timer := time.NewTimer(takeoverTimeout)
	defer timer.Stop()
	select {
	case <-in.released:
		return nil
	case <-timer.C:
		return status.Error(codes.Unavailable, "an earlier attempt at this stream is still being closed; try again")
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// release counts an incoming stream out, once no goroutine of it is left.
func (s *Service) release(in *incoming) {
	s.mu.Lock()
	delete(s.open, in)
	if s.clients[in.client]--; s.clients[in.client] == 0 {
		delete(s.clients, in.client)
	}
	s.mu.Unlock()
	s.metrics.streams.Dec()
	defer s.streams.Done()
	i := in.invocation
	if i == nil {
		return
	}
	var failed Observation
	i.mu.Lock()
	if in.broken != nil {
		failed = i.forget()
	}
	i.mu.Unlock()
	if failed != nil {
		failed.End(in.broken)
	}
	i.mu.Lock()
	i.attached = nil
	i.idleSince = time.Now()
	complete := i.complete()
	couriers := i.couriers
	i.mu.Unlock()
	if complete {
		for _, c := range couriers {
			c.close()
		}
	}
	in.events.ended(in.result)
}

// sweep forgets invocations that nobody has come back to.
func (s *Service) sweep() {
	ticker := time.NewTicker(max(s.config.Linger/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-ticker.C:
			s.forget(now.Add(-s.config.Linger))
		}
	}
}

// forget drops the state of what was idle before the given time.
func (s *Service) forget(before time.Time) {
	var gone []*invocation
	s.mu.Lock()
	for k, i := range s.invocations {
		i.mu.Lock()
		if i.attached == nil && i.idleSince.Before(before) {
			gone = append(gone, i)
			delete(s.invocations, k)
		}
		i.mu.Unlock()
	}
	for k, o := range s.orders {
		if o.idle(before) {
			delete(s.orders, k)
		}
	}
	s.mu.Unlock()
	for _, i := range gone {
		i.close(errLeft)
	}
}
