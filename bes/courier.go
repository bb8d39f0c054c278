package bes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// courier carries one invocation's stream to one best-effort backend. Adding a
// message copies it and returns; a goroutine delivers, and reconnects as Bazel does.
// A courier that cannot go on gives up: its backend has a stream that ends early,
// never one with a hole.
type courier struct {
	service *Service
	backend *backend
	key     key
	headers metadata.MD
	after   <-chan struct{} // lifecycle events that come before the stream

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	// wake has room for one token: something changed.
	wake chan struct{}

	mu           sync.Mutex
	replay       replay
	acknowledged int64
	sent         int64 // on the current connection
	closed       bool  // nothing more will be added
	spoolFile    spoolFile
	toSpool      *chunk // the oldest that was not handed to the disk
	spooling     int64  // bytes on their way to the disk
	gaveUp       error
}

// Why a courier gives up, as metrics name it.
const (
	reasonOverflow  = "overflow"
	reasonExhausted = "exhausted"
	reasonRejected  = "rejected"
	reasonTimeout   = "timeout"
	reasonShutdown  = "shutdown"
	reasonSpool     = "spool"
)

// couriers starts one courier for each best-effort backend.
func (s *Service) couriers(ctx context.Context, k key, first int64) []*courier {
	var all []*courier
	for _, b := range s.bestEffort {
		c := &courier{
			service: s, backend: b, key: k, headers: b.passOn(ctx),
			done: make(chan struct{}), wake: make(chan struct{}, 1),
			acknowledged: first - 1, replay: replay{next: first},
		}
		c.ctx, c.cancel = context.WithCancel(s.ctx)
		c.after = s.join(b, k, c.done)
		all = append(all, c)
		s.background.Add(1)
		go func() {
			defer s.background.Done()
			c.run()
		}()
	}
	return all
}

// add takes a message over, last being the stream's last one. It never waits for the
// backend.
func (c *courier) add(sequence int64, b []byte, last bool) {
	c.mu.Lock()
	if c.gaveUp != nil || c.closed || sequence != c.replay.next {
		c.mu.Unlock()
		return
	}
	need := c.replay.need(len(b))
	if !c.room(need) {
		c.mu.Unlock()
		c.giveUp(reasonOverflow, fmt.Errorf("what it has not taken in is more than the %d bytes that are kept", c.service.config.ReplayBytes))
		return
	}
	c.service.replayBytes.Add(need)
	c.replay.add(b)
	c.overflow()
	c.closed = last
	idle := c.sent+1 == sequence
	c.mu.Unlock()
	if idle {
		c.signal()
	}
}

// room makes room for need bytes, if that can be done. What was sent and is not yet
// acknowledged is let go before the stream is: a backend that acknowledges at the end
// only is in good health, and the stream is lost only if its connection breaks.
// Called with mu held.
func (c *courier) room(need int64) bool {
	config := &c.service.config
	for c.replay.bytes+need > config.ReplayBytes || c.service.replayBytes.Load()+need > config.ReplayBytesTotal {
		head := c.replay.head
		if head == nil || head.last() > c.sent {
			return false
		}
		c.service.replayBytes.Add(-c.replay.drop())
	}
	return true
}

// close says that nothing more will be added.
func (c *courier) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.signal()
}

func (c *courier) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// giveUp stops the backend's stream where it is.
func (c *courier) giveUp(reason string, err error) {
	c.mu.Lock()
	if c.gaveUp != nil {
		c.mu.Unlock()
		return
	}
	c.gaveUp = err
	acknowledged, received := c.acknowledged, c.replay.next-1
	c.clear()
	c.mu.Unlock()
	c.cancel()
	c.service.metrics.stopped(c.backend.Name, reason)
	c.service.log.Error().Err(err).Str("backend", c.backend.Name).Str("invocation", c.key.invocation).
		Str("reason", reason).Int64("acknowledged", acknowledged).Int64("received", received).
		Msg("backend does not get the rest of this stream; the build goes on")
}

// run delivers until everything is delivered or given up.
func (c *courier) run() {
	defer close(c.done)
	defer c.cancel()
	defer c.discard()
	if c.after != nil {
		_ = awaitDone(c.ctx, c.after)
	}
	failures := 0
	for {
		before := c.progress()
		err := c.deliver()
		if err == nil {
			return
		}
		c.backend.answered(err)
		if c.complete() {
			c.service.log.Warn().Err(err).Str("backend", c.backend.Name).Str("invocation", c.key.invocation).
				Msg("backend acknowledged the whole stream and then failed it")
			return
		}
		if c.ctx.Err() != nil {
			c.giveUp(reasonShutdown, errStopping)
			return
		}
		if code := status.Code(err); code == codes.InvalidArgument || code == codes.FailedPrecondition {
			c.giveUp(reasonRejected, err)
			return
		}
		if c.progress() > before {
			failures = 0
		}
		if failures >= c.backend.Retries {
			c.giveUp(reasonExhausted, err)
			return
		}
		delay := time.Duration(float64(c.backend.RetryDelay) * math.Pow(retryGrowth, float64(failures)) * (0.9 + 0.2*rand.Float64()))
		failures++
		c.service.metrics.retried(c.backend.Name)
		c.service.log.Warn().Err(err).Str("backend", c.backend.Name).Str("invocation", c.key.invocation).
			Dur("delay", delay).Msg("backend's stream broke; trying again")
		if !sleep(c.ctx, delay) {
			c.giveUp(reasonShutdown, errStopping)
			return
		}
	}
}

// complete says whether everything came and is acknowledged.
func (c *courier) complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed && c.gaveUp == nil && c.acknowledged == c.replay.next-1
}

func (c *courier) progress() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.acknowledged
}

// discard lets go of what is kept, once nothing more is delivered.
func (c *courier) discard() {
	c.mu.Lock()
	c.clear()
	c.closed = true
	c.mu.Unlock()
	if c.service.spool != nil {
		c.service.spool.close(&c.spoolFile)
	}
}

// clear empties the memory. Called with mu held.
func (c *courier) clear() {
	c.service.replayBytes.Add(-c.replay.bytes)
	for at := c.replay.head; at != nil; at = at.next {
		at.dropped = true
	}
	c.replay = replay{next: c.replay.next}
	c.toSpool = nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

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
	c.service.background.Add(1)
	go func() {
		defer c.service.background.Done()
		received <- c.receive(stream)
	}()
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

// awaitCouriers waits until every courier is done, but not longer than ctx.
func (s *Service) awaitCouriers(ctx context.Context) error {
	s.mu.Lock()
	var all []<-chan struct{}
	for _, l := range s.lanes {
		all = append(all, l.pending()...)
	}
	s.mu.Unlock()
	for _, done := range all {
		if err := awaitDone(ctx, done); err != nil {
			return err
		}
	}
	return nil
}
