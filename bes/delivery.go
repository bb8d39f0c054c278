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

// errBehind is what a reconnection meets that would have to send what was let go.
var errBehind = status.Error(codes.FailedPrecondition,
	"its stream broke after unacknowledged messages had to be let go of to stay within the bytes that are kept")

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
	err = c.send(stream, next, received)
	cancel()
	return err
}

// send sends from the given sequence number on until everything is acknowledged or
// the stream breaks.
func (c *courier) send(stream grpc.ClientStream, next int64, received <-chan error) error {
	var at *chunk
	var expired <-chan time.Time
	halfClosed := false
	var slots []slot
	var loaded []byte // the bytes of onDisk
	var onDisk *chunk
	for {
		c.mu.Lock()
		if at == nil {
			at = c.replay.head
		}
		for at != nil && at.last() < next && at.next != nil {
			at = at.next
		}
		var data []byte
		var start, end uint32
		have := next < c.replay.next && c.gaveUp == nil
		if have {
			data = at.data
			start, end = at.bounds(next)
			c.sent = next
		}
		closed := c.closed
		delivered := closed && c.acknowledged == c.replay.next-1
		c.mu.Unlock()

		if have {
			if data == nil {
				if onDisk != at {
					var err error
					if loaded, err = c.service.spool.read(&c.spoolFile, at.place); err != nil {
						c.giveUp(reasonSpool, err)
						return nil
					}
					onDisk = at
				}
				data = loaded
			}
			b := data[start:end:end]
			if len(slots) == 0 {
				slots = make([]slot, slotsAtATime)
			}
			m := slots[0].fill(b)
			slots = slots[1:]
			if err := stream.SendMsg(m); err != nil {
				if errors.Is(err, io.EOF) {
					return <-received
				}
				return err
			}
			next++
			continue
		}
		if closed && !halfClosed {
			halfClosed = true
			_ = stream.CloseSend() // what is wrong with the stream, receive hears
			timer := time.NewTimer(c.service.config.DeliverTimeout)
			defer timer.Stop()
			expired = timer.C
		}
		if delivered {
			return c.finish(received)
		}
		select {
		case <-c.wake:
		case err := <-received:
			return err
		case <-expired:
			c.giveUp(reasonTimeout, fmt.Errorf("it has not acknowledged everything within %v of the end", c.service.config.DeliverTimeout))
			return nil
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// finish gives the backend time to end a stream of which everything is delivered.
func (c *courier) finish(received <-chan error) error {
	timer := time.NewTimer(c.service.config.FinishGrace)
	defer timer.Stop()
	select {
	case err := <-received:
		return err
	case <-timer.C:
	case <-c.ctx.Done():
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
			return status.Errorf(codes.FailedPrecondition, "it acknowledged message %d where %d was due", sequence, due)
		}
		if last {
			c.signal()
		}
	}
}
