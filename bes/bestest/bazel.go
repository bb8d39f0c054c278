package bestest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	buildv1 "google.golang.org/genproto/googleapis/devtools/build/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Exit codes of Bazel's that an upload ends with.
const (
	// ExitOK is a good upload.
	ExitOK = 0
	// ExitCrash is what an acknowledgement that came twice does to Bazel.
	ExitCrash = 37
	// ExitTransient is an upload that was given up after retries.
	ExitTransient = 38
	// ExitPermanent is an upload that is not retried.
	ExitPermanent = 45
)

// Bazel uploads a stream as Bazel does: it sends without waiting, takes
// acknowledgements one by one, and after a failure sends again what is not
// acknowledged.
type Bazel struct {
	// Target is the gRPC target of --bes_backend.
	Target string
	// BuildID and InvocationID name the stream.
	BuildID, InvocationID string
	// Events are encoded build_event_stream.BuildEvent messages.
	Events [][]byte
	// Requests, where not nil, are sent in place of Events: recorded ones.
	Requests [][]byte
	// Header goes with every call.
	Header metadata.MD
	// Lifecycle says whether to send lifecycle events, too.
	Lifecycle bool
	// RetryDelay is the first delay. Bazel's is a second.
	RetryDelay time.Duration

	// BeforeSend is called before a message is sent on the call'th stream. An error
	// cuts the stream there, as a broken connection does.
	BeforeSend func(call int, sequence int64) error
	// AfterAcknowledgement is called after each acknowledgement. An error cuts the
	// stream.
	AfterAcknowledgement func(call int, sequence int64) error
}

// retries is how often Bazel tries again without progress.
const retries = 4

// Outcome is how an upload ended.
type Outcome struct {
	// Exit is Bazel's exit code for it.
	Exit int
	// Err is what Bazel prints.
	Err error
	// Streams is how many streams it took.
	Streams int
	// Acknowledged counts the messages that were acknowledged.
	Acknowledged int64
}

// Run uploads.
func (b *Bazel) Run(ctx context.Context) Outcome {
	conn, err := grpc.NewClient(b.Target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1, MaxDelay: 10 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newCodec()), grpc.MaxCallSendMsgSize(math.MaxInt32)))
	if err != nil {
		return Outcome{Exit: ExitPermanent, Err: err}
	}
	defer func() { _ = conn.Close() }()
	ctx = metadata.NewOutgoingContext(ctx, b.Header)
	u := upload{bazel: b, conn: conn, requests: b.Requests}
	if u.requests == nil {
		u.requests = Requests(b.BuildID, b.InvocationID, b.Events)
	}
	if b.Lifecycle {
		for _, event := range []*buildv1.BuildEvent{enqueued(), attemptStarted()} {
			if err := u.lifecycle(ctx, event); err != nil {
				return Outcome{Exit: ExitTransient, Err: err}
			}
		}
	}
	outcome := u.run(ctx)
	if b.Lifecycle && outcome.Exit == ExitOK {
		for _, event := range []*buildv1.BuildEvent{attemptFinished(), finished()} {
			if err := u.lifecycle(ctx, event); err != nil {
				return Outcome{Exit: ExitTransient, Err: err}
			}
		}
	}
	return outcome
}

// Requests are the messages of a stream, the last one included.
func Requests(build, invocation string, events [][]byte) [][]byte {
	id := &buildv1.StreamId{BuildId: build, InvocationId: invocation, Component: buildv1.StreamId_TOOL}
	var all [][]byte
	add := func(event *buildv1.BuildEvent) {
		event.EventTime = &timestamppb.Timestamp{Seconds: 1700000000 + int64(len(all))}
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&buildv1.PublishBuildToolEventStreamRequest{
			OrderedBuildEvent: &buildv1.OrderedBuildEvent{StreamId: id, SequenceNumber: int64(len(all) + 1), Event: event},
			ProjectId:         "project",
		})
		if err != nil {
			panic(err) // none of it is anything but what is written here
		}
		all = append(all, b)
	}
	for _, event := range events {
		add(&buildv1.BuildEvent{Event: &buildv1.BuildEvent_BazelEvent{
			BazelEvent: &anypb.Any{TypeUrl: "type.googleapis.com/build_event_stream.BuildEvent", Value: event},
		}})
	}
	add(&buildv1.BuildEvent{Event: &buildv1.BuildEvent_ComponentStreamFinished{
		ComponentStreamFinished: &buildv1.BuildEvent_BuildComponentStreamFinished{
			Type: buildv1.BuildEvent_BuildComponentStreamFinished_FINISHED,
		},
	}})
	return all
}

// upload is one run.
type upload struct {
	bazel    *Bazel
	conn     *grpc.ClientConn
	requests [][]byte

	mu           sync.Mutex
	acknowledged int64
	sent         int64
	sequence     int64 // of lifecycle events
}

var errCut = errors.New("the test cut the stream")

func (u *upload) run(ctx context.Context) Outcome {
	delay := u.bazel.RetryDelay
	if delay == 0 {
		delay = time.Second
	}
	failures := 0
	for call := 1; ; call++ {
		before := u.acknowledged
		exit, err := u.once(ctx, call)
		outcome := Outcome{Exit: exit, Err: err, Streams: call, Acknowledged: u.acknowledged}
		if exit != ExitTransient {
			return outcome
		}
		if u.acknowledged > before {
			failures = 0
		}
		if failures >= retries {
			return outcome
		}
		timer := time.NewTimer(time.Duration(float64(delay) * math.Pow(1.6, float64(failures))))
		failures++
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			outcome.Err = fmt.Errorf("%w; at last: %w", ctx.Err(), err)
			return outcome
		}
	}
}

// once sends what is not acknowledged over one stream. ExitTransient means that Bazel
// tries again.
func (u *upload) once(ctx context.Context, call int) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := u.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/google.devtools.build.v1.PublishBuildEvent/PublishBuildToolEventStream")
	if err != nil {
		return exitOf(err), err
	}
	u.mu.Lock()
	from := u.acknowledged
	u.sent = from
	u.mu.Unlock()

	sent := make(chan error, 1)
	go func() { sent <- u.send(stream, call, from, cancel) }()
	exit, err := u.receive(stream, call)
	cancel()
	if cut := <-sent; errors.Is(cut, errCut) && exit != ExitCrash {
		return ExitTransient, cut
	}
	return exit, err
}

func (u *upload) send(stream grpc.ClientStream, call int, from int64, cancel func()) error {
	for n := from + 1; n <= int64(len(u.requests)); n++ {
		if u.bazel.BeforeSend != nil {
			if err := u.bazel.BeforeSend(call, n); err != nil {
				cancel()
				return errCut
			}
		}
		u.mu.Lock()
		u.sent = n
		u.mu.Unlock()
		if err := stream.SendMsg(raw(u.requests[n-1])); err != nil {
			return nil //nolint:nilerr // receive hears why
		}
	}
	_ = stream.CloseSend()
	return nil
}

func (u *upload) receive(stream grpc.ClientStream, call int) (int, error) {
	all := int64(len(u.requests))
	for {
		var response buildv1.PublishBuildToolEventStreamResponse
		err := stream.RecvMsg(&response)
		switch {
		case errors.Is(err, io.EOF) && u.acknowledged == all:
			return ExitOK, nil
		case errors.Is(err, io.EOF):
			return ExitPermanent, fmt.Errorf("the stream ended OK after %d of %d acknowledgements", u.acknowledged, all)
		case err != nil && u.acknowledged == all:
			return ExitPermanent, err
		case err != nil:
			return exitOf(err), err
		}
		u.mu.Lock()
		due, sent := u.acknowledged+1, u.sent
		u.mu.Unlock()
		switch n := response.GetSequenceNumber(); {
		case n < due:
			return ExitCrash, fmt.Errorf("message %d was acknowledged twice", n)
		case n > due || n > sent:
			return ExitPermanent, fmt.Errorf("message %d was acknowledged instead of message %d", n, due)
		}
		u.mu.Lock()
		u.acknowledged = due
		u.mu.Unlock()
		if u.bazel.AfterAcknowledgement != nil && u.bazel.AfterAcknowledgement(call, due) != nil {
			return ExitTransient, errCut
		}
	}
}

func exitOf(err error) int {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition:
		return ExitPermanent
	default:
		return ExitTransient
	}
}
