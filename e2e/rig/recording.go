package rig

import (
	"fmt"
	"slices"
	"sync"

	build "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"
)

// BuildMessage is one message of a build tool event stream.
type BuildMessage struct {
	// Raw is the PublishBuildToolEventStreamRequest as it arrived.
	Raw []byte
	// Sequence is its number in the stream.
	Sequence int64
	// Event is the build_event_stream.BuildEvent in it: nil in the last message,
	// which says that the stream is finished.
	Event []byte
	// Header is the metadata of the stream that it came on.
	Header map[string][]string
}

// recording keeps what came on the streams of every invocation.
type recording struct {
	mu       sync.Mutex
	messages map[string][]BuildMessage
	// lifecycle holds the raw lifecycle requests, in their order.
	lifecycle [][]byte
}

// Messages are the messages of an invocation, in the order in which they came.
func (r *recording) Messages(invocation string) []BuildMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages[invocation])
}

// Lifecycle are the raw PublishLifecycleEventRequests that came.
func (r *recording) Lifecycle() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lifecycle)
}

// add keeps one message of a stream and returns what acknowledges it.
func (r *recording) add(raw []byte, header map[string][]string) (*build.PublishBuildToolEventStreamResponse, error) {
	var request build.PublishBuildToolEventStreamRequest
	if err := proto.Unmarshal(raw, &request); err != nil {
		return nil, fmt.Errorf("decode stream message: %w", err)
	}
	ordered := request.GetOrderedBuildEvent()
	message := BuildMessage{Raw: raw, Sequence: ordered.GetSequenceNumber(), Header: header}
	if event := ordered.GetEvent().GetBazelEvent(); event != nil {
		message.Event = event.GetValue()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.messages == nil {
		r.messages = map[string][]BuildMessage{}
	}
	invocation := ordered.GetStreamId().GetInvocationId()
	r.messages[invocation] = append(r.messages[invocation], message)
	return &build.PublishBuildToolEventStreamResponse{
		StreamId:       ordered.GetStreamId(),
		SequenceNumber: ordered.GetSequenceNumber(),
	}, nil
}

func (r *recording) addLifecycle(raw []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lifecycle = append(r.lifecycle, raw)
}

// rawCodec hands messages through as bytes.
type rawCodec struct{}

var _ encoding.Codec = rawCodec{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = slices.Clone(data)
	return nil
}
