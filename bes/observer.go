package bes

import (
	"context"
)

// StreamID says which invocation a stream belongs to.
type StreamID struct {
	// BuildID is shared by a build's invocations, a retry after cache eviction for
	// example.
	BuildID string
	// InvocationID is one Bazel command.
	InvocationID string
	// ProjectID is what Bazel was given as --bes_instance_name.
	ProjectID string
	// Component is the number of the part that sends the stream: 3 is Bazel.
	Component int32
}

// Stream is what is known of a stream when it begins.
type Stream struct {
	StreamID

	// Peer is the client's network address, "10.0.0.7:41234" for example.
	Peer string
	// UserAgent is the client's, "bazel/7.7.1 grpc-java-netty/…" for example.
	UserAgent string
	// Certificate names the client by the certificate that it showed and that was
	// verified: the first URI or DNS name, else the subject's common name. Empty
	// without one.
	Certificate string
	// Metadata are the headers that the stream came with and that
	// [Config.ObserveHeaders] lists, by lower-case name.
	Metadata map[string][]string
	// FirstSequence is the sequence number of the first event that the observation is
	// handed. Above 1, what came before was acknowledged earlier: to an observation
	// before this one, by the process before this one, or by another replica.
	FirstSequence int64
}

// Observer is told of every stream.
type Observer interface {
	// Begin is called before the first event of an invocation, and again after a
	// wait failed. It must return soon: events are held up meanwhile. The context
	// ends with the service, not with the stream.
	Begin(ctx context.Context, stream Stream) Observation
}

// Observation is one invocation's events, as an [Observer] sees them. Its methods
// are not called concurrently, and outlive a single gRPC stream: when Bazel
// reconnects, the observation goes on.
type Observation interface {
	// Observe is handed each distinct event once, in order of its sequence number.
	// It must not block on I/O, and must not keep the event's bytes.
	//
	// The returned wait is nil when nothing must be durable before the event is
	// acknowledged. Otherwise the relay calls it before the acknowledgement, in
	// order: nil means durable. An error ends the stream with that gRPC status and
	// without the acknowledgement; Bazel sends the event again, to a new
	// observation. A wait whose context ended is called again when Bazel is back.
	//
	// An error that holds a [*Verdict] does not keep the event from being
	// acknowledged: see there.
	Observe(event Event) (wait func(ctx context.Context) error)

	// End is called once. A nil error says that the last message came and that
	// everything is acknowledged.
	End(err error)
}

// Event is one message of a stream.
type Event struct {
	// Sequence starts at 1.
	Sequence int64
	// BazelEvent is the encoded build_event_stream.BuildEvent, nil in a message
	// that holds none. It is valid until Observe returns.
	BazelEvent []byte
	// Finished marks the last message, component_stream_finished.
	Finished bool
}

// Verdict is how an observation fails a build: returned by the wait of the last
// message it lets the message be acknowledged, and then ends the stream with Err's
// gRPC status. Bazel prints its text and does not retry. Keep the text ASCII.
type Verdict struct { //nolint:errname // it is no failure of the relay
	// Err is a gRPC status error, FAILED_PRECONDITION by convention.
	Err error
}

func (v *Verdict) Error() string { return v.Err.Error() }

// Unwrap returns Err.
func (v *Verdict) Unwrap() error { return v.Err }

// nobody observes where no Observer is configured.
type nobody struct{}

func (nobody) Begin(context.Context, Stream) Observation        { return nobody{} }
func (nobody) Observe(Event) (wait func(context.Context) error) { return nil }
func (nobody) End(error)                                        {}
