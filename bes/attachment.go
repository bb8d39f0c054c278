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

// attachment is one connection that an invocation's stream comes over: from
// Bazel's call to its end. A reader takes messages in and forwards them; one
// receiver for each required backend takes its acknowledgements; whoever makes an
// acknowledgement due sends it.
type attachment struct {
	service *Service
	stream  grpc.ServerStream
	ctx     context.Context
	cancel  context.CancelFunc

	// Set with the first message, before anything else can look.
	invocation *invocation
	streamID   []byte
	required   []*requiredStream
	events     *streamMetrics

	// received and acknowledged are this connection's own: what came over it, and
	// what was acknowledged over it. Guarded by invocation.mu.
	received, acknowledged int64
	halfClosed             bool
	sending                bool
	acknowledgements       acknowledgements // of whoever is sending
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
	// released is closed when no goroutine of the connection is left.
	released chan struct{}
}

// end decides how the stream ends. The first call counts.
func (a *attachment) end(err error) {
	a.once.Do(func() {
		a.result = err
		close(a.done)
	})
}

// serve is the stream's handler.
func (s *Service) serve(stream grpc.ServerStream) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	a := &attachment{
		service: s, stream: stream, ctx: ctx, cancel: cancel,
		done: make(chan struct{}), delivered: make(chan struct{}), released: make(chan struct{}),
	}
	if err := s.admit(a); err != nil {
		return err
	}
	first := make(chan struct{})
	a.workers.Go(func() { a.read(first) })
	s.background.Go(func() {
		a.workers.Wait()
		<-a.done
		s.release(a)
		close(a.released)
	})
	a.supervise(first)
	// Returning ends the stream's context, and with it the reader.
	return a.result
}

// supervise returns when result is set.
func (a *attachment) supervise(first <-chan struct{}) {
	timer := time.NewTimer(a.service.config.FirstMessage)
	defer timer.Stop()
	select {
	case <-first:
	case <-timer.C:
		a.end(status.Errorf(codes.DeadlineExceeded, "no message came within %v of the stream's opening", a.service.config.FirstMessage))
	case <-a.done:
	}
	select {
	case <-a.delivered:
		a.finish()
	case <-a.done:
	case <-a.ctx.Done():
		a.end(status.FromContextError(a.ctx.Err()).Err())
	}
	<-a.done
}

// finish ends a stream of which everything is acknowledged: as the observation
// says, else as the first required backend does that says anything but OK.
func (a *attachment) finish() {
	a.invocation.mu.Lock()
	verdict := a.invocation.verdict
	a.invocation.mu.Unlock()
	if verdict != nil {
		a.end(verdict)
		return
	}
	timer := time.NewTimer(a.service.config.FinishGrace)
	defer timer.Stop()
	for _, r := range a.required {
		select {
		case <-r.finished:
		case <-a.done:
			return
		case <-timer.C:
			a.service.log.Debug().Str("backend", r.backend.Name).Msg("backend keeps its stream open after the last acknowledgement")
			a.end(nil)
			return
		}
	}
	a.end(nil)
}

// read takes in Bazel's messages until there are no more.
func (a *attachment) read(first chan struct{}) {
	started := false
	var m frame
	for {
		if err := a.stream.RecvMsg(&m); err != nil {
			if !errors.Is(err, io.EOF) {
				a.end(err)
				return
			}
			if !started {
				a.end(nil)
				return
			}
			a.halfClose()
			return
		}
		var err error
		if !started {
			started = true
			if err = a.begin(&m); err == nil {
				close(first)
			}
		}
		if err == nil {
			err = a.take(&m)
		}
		m.free()
		if errors.Is(err, errBackendEnded) {
			return // its receiver says how
		}
		if err != nil {
			a.end(err)
			return
		}
	}
}

// begin finds or makes the invocation that the first message belongs to.
func (a *attachment) begin(m *frame) error {
	msg, err := readMessage(m.bytes(), streamRequestEvent)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	id, err := msg.id()
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if msg.sequence < 1 {
		return status.Errorf(codes.InvalidArgument, "sequence number %d: the first is 1", msg.sequence)
	}
	a.streamID = append([]byte(nil), msg.streamID...)
	a.acknowledgements.streamID = a.streamID
	description := a.service.describe(a.ctx, id)
	i, err := a.service.attach(a, key{a.service.owner(description), id.BuildID, id.InvocationID, id.Component})
	if err != nil {
		return err
	}
	i.mu.Lock()
	known, gap := i.known, i.known && msg.sequence > i.received+1
	var cut Observation
	if !known || gap {
		cut, i.observation = i.observation, nil
		i.begin(msg.sequence)
	}
	a.received, a.acknowledged = msg.sequence-1, msg.sequence-1
	begin := i.observation == nil && !i.complete()
	description.FirstSequence = i.observed.Load() + 1
	i.mu.Unlock()

	if gap || !known && msg.sequence > 1 {
		a.service.metrics.resumed.Inc()
		a.service.log.Warn().Str("invocation", id.InvocationID).Int64("sequence", msg.sequence).Bool("known", known).
			Msg("stream begins behind messages that were acknowledged elsewhere: by this daemon before it restarted, or by another")
	}
	if cut != nil {
		cut.End(errGap)
	}
	if begin {
		observation := a.service.config.Observer.Begin(a.service.ctx, description)
		i.mu.Lock()
		i.observation = observation
		i.mu.Unlock()
	}
	if !known || gap {
		for _, c := range i.couriers {
			c.close()
		}
		couriers := a.service.couriers(a.ctx, i.key, msg.sequence)
		i.mu.Lock()
		i.couriers = couriers
		i.mu.Unlock()
	}
	return a.openRequired()
}

// take takes in one message.
func (a *attachment) take(m *frame) error {
	b := m.bytes()
	msg, err := readMessage(b, streamRequestEvent)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if !sameStream(msg.streamID, a.streamID) {
		return status.Error(codes.InvalidArgument, "the stream id changed within the stream")
	}
	event, err := msg.observed()
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	i := a.invocation
	i.mu.Lock()
	if err := a.inOrder(msg.sequence); err != nil {
		i.mu.Unlock()
		return err
	}
	isNew := msg.sequence > i.received
	var observation Observation
	if msg.sequence > i.observed.Load() {
		observation = i.observation
	}
	a.received = msg.sequence
	i.received = max(i.received, msg.sequence)
	if event.Finished {
		i.last = msg.sequence
	}
	a.sample.received(msg.sequence)
	i.mu.Unlock()

	a.events.message(len(b), isNew)
	// Before it is forwarded: a backend may acknowledge it at once, and whoever takes
	// that acknowledgement passes it on.
	waits := observation != nil && i.observe(msg.sequence, observation.Observe(event))
	if isNew {
		for _, c := range i.couriers {
			c.add(msg.sequence, b, event.Finished)
		}
	}
	awaited := false // by a required backend's receiver
	for _, r := range a.required {
		sent, err := r.send(msg.sequence, m)
		if err != nil {
			return err
		}
		awaited = awaited || sent
	}
	if waits || !awaited {
		a.pump()
	}
	return nil
}

// inOrder says what is wrong with a message of this sequence number coming now.
// Called with invocation.mu held.
func (a *attachment) inOrder(sequence int64) error {
	i := a.invocation
	if due := a.received + 1; sequence != due {
		return status.Errorf(codes.InvalidArgument, "sequence number %d came where %d was due", sequence, due)
	}
	if i.last != 0 && sequence > i.last {
		return status.Errorf(codes.InvalidArgument, "message %d came after the last one, %d", sequence, i.last)
	}
	return nil
}

// halfClose passes on that Bazel sends no more.
func (a *attachment) halfClose() {
	for _, r := range a.required {
		r.closeSend()
	}
	a.invocation.mu.Lock()
	a.halfClosed = true
	a.invocation.mu.Unlock()
	a.pump()
}

// backendDone ends the connection with OK where a required backend ended its stream
// so before it had acknowledged everything: Bazel says what is wrong with that.
func (a *attachment) backendDone(index int) {
	i := a.invocation
	i.mu.Lock()
	acknowledged := i.required[index]
	all := i.last != 0 && acknowledged >= i.last || a.halfClosed && acknowledged >= a.received
	i.mu.Unlock()
	if !all {
		a.end(nil)
	}
}
