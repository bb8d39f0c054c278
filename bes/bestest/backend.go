package bestest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"sync"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Acknowledgement is when a backend acknowledges.
type Acknowledgement int

const (
	// Each acknowledges every message as it comes.
	Each Acknowledgement = iota
	// AtEnd acknowledges everything once the client has half-closed, as BuildBuddy
	// does.
	AtEnd
	// Never acknowledges nothing and keeps the stream open.
	Never
)

// Script is what a backend does. Its zero value is a good backend.
type Script struct {
	Acknowledge Acknowledgement

	// OnMessage is called for each message before it is stored. call counts the
	// streams of an invocation from 1. An error ends the stream.
	OnMessage func(call int, sequence int64) error
	// AfterAcknowledgement is called after each acknowledgement. An error ends the
	// stream.
	AfterAcknowledgement func(call int, sequence int64) error
	// Sequence changes the sequence numbers that are acknowledged.
	Sequence func(call int, sequence int64) []int64
	// Linger keeps the stream open after the last acknowledgement.
	Linger bool
	// OnLifecycle is called for each lifecycle event.
	OnLifecycle func(ctx context.Context, request *buildv1.PublishLifecycleEventRequest) error
	// MaxConcurrentStreams is what the server lets a connection have. 0 means any
	// number.
	MaxConcurrentStreams uint32
}

// Backend is a running BES backend.
type Backend struct {
	// Address is grpc://HOST:PORT.
	Address string
	// HostPort is Address without the scheme.
	HostPort string

	script Script
	server *grpc.Server
	served chan struct{}

	mu      sync.Mutex
	streams map[string]*received
	calls   []string
	faults  []string
	headers []metadata.MD
}

// received is what came of one invocation.
type received struct {
	calls    int
	messages [][]byte // by sequence number - 1
	first    int64
	acked    int64
	resent   int
}

// StartBackend starts a backend on a free port of the loopback interface.
func StartBackend(script Script, options ...grpc.ServerOption) (*Backend, error) {
	return startBackend("127.0.0.1:0", script, options)
}

// StartBackendAt starts a backend where another one was.
func StartBackendAt(hostPort string, script Script) (*Backend, error) {
	return startBackend(hostPort, script, nil)
}

func startBackend(hostPort string, script Script, options []grpc.ServerOption) (*Backend, error) {
	listener, err := net.Listen("tcp", hostPort)
	if err != nil {
		return nil, fmt.Errorf("start backend: %w", err)
	}
	b := &Backend{
		Address: "grpc://" + listener.Addr().String(), HostPort: listener.Addr().String(), script: script,
		served: make(chan struct{}), streams: make(map[string]*received),
	}
	options = append(options, grpc.ForceServerCodecV2(newCodec()), grpc.MaxRecvMsgSize(64<<20))
	if n := script.MaxConcurrentStreams; n > 0 {
		options = append(options, grpc.MaxConcurrentStreams(n))
	}
	b.server = grpc.NewServer(options...)
	b.server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "google.devtools.build.v1.PublishBuildEvent",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "PublishLifecycleEvent",
			Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				return b.lifecycle(ctx, decode)
			},
		}},
		Streams: []grpc.StreamDesc{{
			StreamName: "PublishBuildToolEventStream", ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return b.stream(stream) },
		}},
	}, nil)
	go func() {
		defer close(b.served)
		_ = b.server.Serve(listener) // ends with Stop
	}()
	return b, nil
}

// Stop cuts every connection.
func (b *Backend) Stop() {
	b.server.Stop()
	<-b.served
}

// Close stops once every call is answered.
func (b *Backend) Close() {
	b.server.GracefulStop()
	<-b.served
}

// Stored are the messages of an invocation, in order, each one once.
func (b *Backend) Stored(invocation string) [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.streams[invocation]; r != nil {
		return append([][]byte(nil), r.messages...)
	}
	return nil
}

// Resent counts the messages that came although they had been acknowledged.
func (b *Backend) Resent(invocation string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.streams[invocation]; r != nil {
		return r.resent
	}
	return 0
}

// Adopt gives the backend what another one, stopped before, has stored.
func (b *Backend) Adopt(before *Backend) {
	before.mu.Lock()
	defer before.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.Copy(b.streams, before.streams)
	b.calls = append(b.calls, before.calls...)
	b.faults = append(b.faults, before.faults...)
}

// Calls names every call in the order in which it came: "stream INVOCATION", or the
// kind of the lifecycle event.
func (b *Backend) Calls() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.calls...)
}

// Headers are those that each call came with.
func (b *Backend) Headers() []metadata.MD {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]metadata.MD(nil), b.headers...)
}

// Faults are what the client did that no backend may be sent: gaps, messages out of
// order, a message that changed when it came again.
func (b *Backend) Faults() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.faults...)
}

func (b *Backend) note(ctx context.Context, call string) {
	md, _ := metadata.FromIncomingContext(ctx)
	b.calls = append(b.calls, call)
	b.headers = append(b.headers, md)
}

func (b *Backend) lifecycle(ctx context.Context, decode func(any) error) (any, error) {
	var m raw
	if err := decode(&m); err != nil {
		return nil, err
	}
	var request buildv1.PublishLifecycleEventRequest
	if err := proto.Unmarshal(m, &request); err != nil {
		return nil, fmt.Errorf("decode lifecycle event: %w", err)
	}
	if b.script.OnLifecycle != nil {
		if err := b.script.OnLifecycle(ctx, &request); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	b.note(ctx, lifecycleKind(request.GetBuildEvent().GetEvent()))
	b.mu.Unlock()
	return &emptypb.Empty{}, nil
}

func lifecycleKind(event *buildv1.BuildEvent) string {
	switch event.GetEvent().(type) {
	case *buildv1.BuildEvent_BuildEnqueued_:
		return "BuildEnqueued"
	case *buildv1.BuildEvent_InvocationAttemptStarted_:
		return "InvocationAttemptStarted"
	case *buildv1.BuildEvent_InvocationAttemptFinished_:
		return "InvocationAttemptFinished"
	case *buildv1.BuildEvent_BuildFinished_:
		return "BuildFinished"
	default:
		return "unknown"
	}
}

func (b *Backend) stream(stream grpc.ServerStream) error {
	var r *received
	var id *buildv1.StreamId
	var call int
	var before, last int64
	acknowledge := func(sequence int64) error {
		sequences := []int64{sequence}
		if b.script.Sequence != nil {
			sequences = b.script.Sequence(call, sequence)
		}
		for _, n := range sequences {
			b.mu.Lock()
			r.acked = max(r.acked, n)
			b.mu.Unlock()
			if err := stream.SendMsg(&buildv1.PublishBuildToolEventStreamResponse{StreamId: id, SequenceNumber: n}); err != nil {
				return err
			}
		}
		if b.script.AfterAcknowledgement != nil {
			return b.script.AfterAcknowledgement(call, sequence)
		}
		return nil
	}
	for {
		var m raw
		if err := stream.RecvMsg(&m); err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			break
		}
		var request buildv1.PublishBuildToolEventStreamRequest
		if err := proto.Unmarshal(m, &request); err != nil {
			return fmt.Errorf("decode request: %w", err)
		}
		event := request.GetOrderedBuildEvent()
		sequence := event.GetSequenceNumber()
		if r == nil {
			id = event.GetStreamId()
			r, call = b.open(stream.Context(), id.GetInvocationId(), sequence)
			before = sequence - 1
		}
		last = sequence
		if b.script.OnMessage != nil {
			if err := b.script.OnMessage(call, sequence); err != nil {
				return err
			}
		}
		b.store(r, sequence, before, m)
		before = sequence
		if b.script.Acknowledge == Each {
			if err := acknowledge(sequence); err != nil {
				return err
			}
		}
	}
	if b.script.Acknowledge == AtEnd && r != nil {
		b.mu.Lock()
		from := r.acked + 1
		b.mu.Unlock()
		for n := from; n <= last; n++ {
			if err := acknowledge(n); err != nil {
				return err
			}
		}
	}
	if b.script.Acknowledge == Never || b.script.Linger {
		<-stream.Context().Done()
	}
	return nil
}

func (b *Backend) open(ctx context.Context, invocation string, first int64) (*received, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.streams[invocation]
	if r == nil {
		r = &received{first: first, acked: first - 1}
		b.streams[invocation] = r
	}
	r.calls++
	b.note(ctx, "stream "+invocation)
	return r, r.calls
}

func (b *Backend) store(r *received, sequence, before int64, m []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if sequence != before+1 {
		b.faults = append(b.faults, fmt.Sprintf("message %d came after %d", sequence, before))
	}
	at := sequence - r.first
	switch {
	case at < 0 || at > int64(len(r.messages)):
		b.faults = append(b.faults, fmt.Sprintf("message %d came instead of message %d", sequence, r.first+int64(len(r.messages))))
	case at == int64(len(r.messages)):
		r.messages = append(r.messages, m)
	case string(r.messages[at]) != string(m):
		b.faults = append(b.faults, fmt.Sprintf("message %d changed when it came again", sequence))
	}
	if sequence <= r.acked {
		r.resent++
	}
}
