package bes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errBehind ends the delivery where messages that would have to be sent again were
// dropped.
var errBehind = status.Error(codes.FailedPrecondition,
	"its stream broke, and the relay no longer has all messages that it did not acknowledge: they were more bytes than the relay keeps")

// courierStream is one gRPC stream over which a courier delivers. Its reader takes the
// backend's acknowledgements meanwhile.
type courierStream struct {
	*courier
	stream grpc.ClientStream
	// received tells how the stream ended.
	received <-chan error

	next   int64 // the sequence number to send
	at     *chunk
	frames []flatFrame
	onDisk *chunk // whose bytes are loaded
	loaded []byte
}

// deliver opens one stream and sends what is not acknowledged. It returns nil when
// everything is delivered.
func (c *courier) deliver() error {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	c.mu.Lock()
	next := c.acknowledged + 1
	c.sent = c.acknowledged
	at := c.replay.head
	behind := at != nil && at.first > next
	over := c.closed && next == c.replay.next
	c.mu.Unlock()
	if behind {
		return errBehind
	}
	if over {
		return nil
	}
	stream, release, err := c.backend.open(ctx, c.headers)
	if err != nil {
		return err
	}
	defer release()
	received := make(chan error, 1)
	c.service.background.Go(func() { received <- c.receive(stream) })
	s := courierStream{courier: c, stream: stream, received: received, next: next}
	err = s.run()
	cancel()
	return err
}

// run sends until everything is acknowledged or the stream breaks.
func (s *courierStream) run() error {
	var expired <-chan time.Time // nil until Bazel has sent everything
	for {
		due := s.look()
		if due.message {
			if over, err := s.send(due); over {
				return err
			}
			continue
		}
		if due.closed && expired == nil {
			_ = s.stream.CloseSend() // what is wrong with the stream, receive hears
			timer := time.NewTimer(s.service.config.DeliverTimeout)
			defer timer.Stop()
			expired = timer.C
		}
		if due.delivered {
			return s.finish()
		}
		select {
		case <-s.wake:
		case err := <-s.received:
			return err
		case <-expired:
			s.giveUp(reasonTimeout, fmt.Errorf("it did not acknowledge everything within %v after the last message", s.service.config.DeliverTimeout))
			return nil
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// due is what there is to do.
type due struct {
	// message tells that there is a message to send: data[start:end], with nil data
	// where the chunk is on disk.
	message    bool
	data       []byte
	start, end uint32
	// closed tells that nothing more will be added, and delivered that all of it is
	// acknowledged.
	closed, delivered bool
}

// look looks for the next message.
func (s *courierStream) look() due {
	c := s.courier
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.at == nil {
		s.at = c.replay.head
	}
	for s.at != nil && s.at.last() < s.next && s.at.next != nil {
		s.at = s.at.next
	}
	d := due{closed: c.closed, delivered: c.closed && c.acknowledged == c.replay.next-1}
	if s.next < c.replay.next && c.gaveUp == nil {
		d.message, d.data = true, s.at.data
		d.start, d.end = s.at.bounds(s.next)
		c.sent = s.next
	}
	return d
}

// send sends the next message. The stream may be over then.
func (s *courierStream) send(d due) (over bool, err error) {
	if d.data == nil {
		if d.data, err = s.load(); err != nil {
			s.giveUp(reasonSpool, err)
			return true, nil
		}
	}
	if len(s.frames) == 0 {
		s.frames = make([]flatFrame, flatFramesAtATime)
	}
	m := s.frames[0].fill(d.data[d.start:d.end:d.end])
	s.frames = s.frames[1:]
	if err := s.stream.SendMsg(m); err != nil {
		if errors.Is(err, io.EOF) {
			return true, <-s.received
		}
		return true, err
	}
	s.next++
	return false, nil
}

// load reads the chunk from disk.
func (s *courierStream) load() ([]byte, error) {
	if s.onDisk != s.at {
		data, err := s.service.spool.read(&s.spoolFile, s.at.extent)
		if err != nil {
			return nil, err
		}
		s.onDisk, s.loaded = s.at, data
	}
	return s.loaded, nil
}

// finish gives the backend time to end a stream of which everything is delivered.
func (s *courierStream) finish() error {
	timer := time.NewTimer(s.service.config.FinishGrace)
	defer timer.Stop()
	select {
	case err := <-s.received:
		return err
	case <-timer.C:
	case <-s.ctx.Done():
	}
	return nil
}

var errEndedEarly = status.Error(codes.FailedPrecondition, "it ended its stream before it had acknowledged everything")

// receive takes acknowledgements until the stream ends, and returns nil when
// everything was acknowledged by then.
func (c *courier) receive(stream grpc.ClientStream) error {
	var m frame
	for {
		if err := stream.RecvMsg(&m); err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			if c.complete() {
				return nil
			}
			return errEndedEarly
		}
		sequence, err := readAcknowledgement(m.bytes())
		m.free()
		if err != nil {
			return status.Error(codes.FailedPrecondition, err.Error())
		}
		c.mu.Lock()
		due := c.acknowledged + 1
		ok := sequence == due && sequence <= c.sent
		last := false
		if ok {
			c.acknowledged = sequence
			c.service.replayBytes.Add(-c.replay.release(sequence))
			last = c.closed && sequence == c.replay.next-1
		}
		c.mu.Unlock()
		if !ok && sequence >= due {
			return status.Errorf(codes.FailedPrecondition, "it acknowledged message %d instead of message %d", sequence, due)
		}
		if last {
			c.signal()
		}
	}
}
