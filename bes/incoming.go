package bes

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// incoming is one gRPC stream from Bazel. An invocation's messages come over one after
// another of them, as Bazel tries again. A reader takes messages in and forwards them.
// One receiver for each required backend takes its acknowledgements. Whoever makes an
// acknowledgement due sends it.
type incoming struct {
	service *Service
	stream  grpc.ServerStream
	ctx     context.Context
	cancel  context.CancelFunc
	// client is who sends it.
	client string

	// Set with the first message, before anything else can look.
	invocation *invocation
	streamID   []byte
	required   []*requiredStream
	events     *streamMetrics

	// received and acknowledged are the last messages that came, and that were
	// acknowledged, over this very stream. Guarded by invocation.mu.
	received, acknowledged int64
	halfClosed             bool
	sending                bool
	responses              responses // of whoever is sending
	waiting                bool
	sample                 latencySample

	once   sync.Once
	result error
	done   chan struct{} // closed when result is set
	// broken is what a wait failed with. Guarded by invocation.mu.
	broken error
	// delivered is closed when Bazel has half-closed and everything it sent is
	// acknowledged.
	delivered chan struct{}
	deliver   sync.Once
	workers   sync.WaitGroup
	// released is closed when no goroutine of the stream is left.
	released chan struct{}
}

// end decides how the stream ends. The first call counts.
func (in *incoming) end(err error) {
	in.once.Do(func() {
		in.result = err
		close(in.done)
	})
}

// serve is the stream's handler.
func (s *Service) serve(stream grpc.ServerStream) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	in := &incoming{
		service: s, stream: stream, ctx: ctx, cancel: cancel,
		done: make(chan struct{}), delivered: make(chan struct{}), released: make(chan struct{}),
	}
	if err := s.admit(in); err != nil {
		return err
	}
	first := make(chan struct{})
	in.workers.Go(func() { in.read(first) })
	s.background.Go(func() {
		in.workers.Wait()
		<-in.done
		s.release(in)
		close(in.released)
	})
	in.supervise(first)
	// Returning ends the stream's context, and with it the reader.
	return in.result
}

// supervise returns when result is set.
func (in *incoming) supervise(first <-chan struct{}) {
	timer := time.NewTimer(in.service.config.FirstMessage)
	defer timer.Stop()
	select {
	case <-first:
	case <-timer.C:
		in.end(status.Errorf(codes.DeadlineExceeded, "no message came within %v after the stream was opened", in.service.config.FirstMessage))
	case <-in.done:
	}
	select {
	case <-in.delivered:
		in.finish()
	case <-in.done:
	case <-in.ctx.Done():
		in.end(status.FromContextError(in.ctx.Err()).Err())
	}
	<-in.done
}

// finish ends a stream of which everything is acknowledged. The observation decides how,
// if it gave a verdict. Otherwise the first required backend does that ends its own
// stream with anything but OK.
func (in *incoming) finish() {
	in.invocation.mu.Lock()
	verdict := in.invocation.verdict
	in.invocation.mu.Unlock()
	if verdict != nil {
		in.end(verdict)
		return
	}
	timer := time.NewTimer(in.service.config.FinishGrace)
	defer timer.Stop()
	for _, r := range in.required {
		select {
		case <-r.finished:
		case <-in.done:
			return
		case <-timer.C:
			in.service.log.Debug().Str("backend", r.backend.Name).Msg("backend keeps its stream open after the last acknowledgement")
			in.end(nil)
			return
		}
	}
	in.end(nil)
}

// read takes in Bazel's messages until there are no more.
func (in *incoming) read(first chan struct{}) {
	started := false
	var m frame
	for {
		if err := in.stream.RecvMsg(&m); err != nil {
			if !errors.Is(err, io.EOF) {
				in.end(err)
				return
			}
			if !started {
				in.end(nil)
				return
			}
			in.halfClose()
			return
		}
		var err error
		if !started {
			started = true
			if err = in.begin(&m); err == nil {
				close(first)
			}
		}
		if err == nil {
			err = in.take(&m)
		}
		m.free()
		if errors.Is(err, errBackendEnded) {
			return // its receiver says how
		}
		if err != nil {
			in.end(err)
			return
		}
	}
}

// begin finds or makes the invocation that the first message belongs to.
func (in *incoming) begin(m *frame) error {
	msg, err := readMessage(m.bytes(), streamRequestEvent)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	id, err := msg.id()
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if msg.sequence < 1 {
		return status.Errorf(codes.InvalidArgument, "sequence number %d is not valid: the first message has number 1", msg.sequence)
	}
	in.streamID = append([]byte(nil), msg.streamID...)
	in.responses.streamID = in.streamID
	description := in.service.describe(in.ctx, id)
	i, err := in.service.attach(in, key{in.service.owner(description), id.BuildID, id.InvocationID, id.Component})
	if err != nil {
		return err
	}
	i.mu.Lock()
	begun, gap := i.begun, i.begun && msg.sequence > i.received+1
	var cut Observation
	if !begun || gap {
		cut, i.observation = i.observation, nil
		i.begin(msg.sequence)
	}
	in.received, in.acknowledged = msg.sequence-1, msg.sequence-1
	begin := i.observation == nil && !i.complete()
	description.FirstSequence = i.observed.Load() + 1
	i.mu.Unlock()

	if gap || !begun && msg.sequence > 1 {
		in.service.metrics.resumed.Inc()
		in.service.log.Warn().Str("invocation", id.InvocationID).Int64("sequence", msg.sequence).Bool("known", begun).
			Msg("stream begins behind messages that were acknowledged elsewhere: by this daemon before it restarted, or by another")
	}
	if cut != nil {
		cut.End(errGap)
	}
	if begin {
		observation := in.service.config.Observer.Begin(in.service.ctx, description)
		i.mu.Lock()
		i.observation = observation
		i.mu.Unlock()
	}
	if !begun || gap {
		for _, c := range i.couriers {
			c.close()
		}
		couriers := in.service.couriers(in.ctx, i.key, msg.sequence)
		i.mu.Lock()
		i.couriers = couriers
		i.mu.Unlock()
	}
	return in.openRequired()
}

// take takes in one message.
func (in *incoming) take(m *frame) error {
	b := m.bytes()
	msg, err := readMessage(b, streamRequestEvent)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if !sameStream(msg.streamID, in.streamID) {
		return status.Error(codes.InvalidArgument, "the stream id changed within the stream")
	}
	event, err := msg.observed()
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	i := in.invocation
	i.mu.Lock()
	if err := in.inOrder(msg.sequence); err != nil {
		i.mu.Unlock()
		return err
	}
	isNew := msg.sequence > i.received
	var observation Observation
	if msg.sequence > i.observed.Load() {
		observation = i.observation
	}
	in.received = msg.sequence
	i.received = max(i.received, msg.sequence)
	if event.Finished {
		i.last = msg.sequence
	}
	in.sample.received(msg.sequence)
	i.mu.Unlock()

	in.events.message(len(b), isNew)
	// Before it is forwarded: a backend may acknowledge it at once, and whoever takes
	// that acknowledgement passes it on.
	waits := observation != nil && i.observe(msg.sequence, observation.Observe(event))
	if isNew {
		for _, c := range i.couriers {
			c.add(msg.sequence, b, event.Finished)
		}
	}
	awaited := false // by a required backend's receiver
	for _, r := range in.required {
		sent, err := r.send(msg.sequence, m)
		if err != nil {
			return err
		}
		awaited = awaited || sent
	}
	if waits || !awaited {
		in.acknowledge()
	}
	return nil
}

// inOrder returns an error where a message of this sequence number must not come now.
// Called with invocation.mu held.
func (in *incoming) inOrder(sequence int64) error {
	i := in.invocation
	if due := in.received + 1; sequence != due {
		return status.Errorf(codes.InvalidArgument, "message %d came instead of message %d", sequence, due)
	}
	if i.last != 0 && sequence > i.last {
		return status.Errorf(codes.InvalidArgument, "message %d came after message %d, which was marked as the last", sequence, i.last)
	}
	return nil
}

// halfClose passes on that Bazel sends no more.
func (in *incoming) halfClose() {
	for _, r := range in.required {
		r.closeSend()
	}
	in.invocation.mu.Lock()
	in.halfClosed = true
	in.invocation.mu.Unlock()
	in.acknowledge()
}

// backendDone ends the stream with OK where a required backend did so before it had
// acknowledged everything. Bazel then says what is wrong with that.
func (in *incoming) backendDone(index int) {
	i := in.invocation
	i.mu.Lock()
	acknowledged := i.required[index]
	all := i.last != 0 && acknowledged >= i.last || in.halfClosed && acknowledged >= in.received
	i.mu.Unlock()
	if !all {
		in.end(nil)
	}
}
