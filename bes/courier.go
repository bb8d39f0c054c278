package bes

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/internal/clock"
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
	sent         int64 // on the current stream
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
		c := s.courier(b, k, b.passOn(ctx), first)
		all = append(all, c)
		s.background.Go(c.run)
	}
	return all
}

// courier makes a courier that has yet to run.
func (s *Service) courier(b *backend, k key, headers metadata.MD, first int64) *courier {
	c := &courier{
		service: s, backend: b, key: k, headers: headers,
		done: make(chan struct{}), wake: make(chan struct{}, 1),
		acknowledged: first - 1, replay: replay{next: first},
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	c.after = s.join(b, k, c.done)
	return c
}

// add takes a message; last marks the stream's last one. It never waits for the backend.
func (c *courier) add(sequence int64, b []byte, last bool) {
	c.mu.Lock()
	if c.gaveUp != nil || c.closed || sequence != c.replay.next {
		c.mu.Unlock()
		return
	}
	need := c.replay.need(len(b))
	if !c.room(need) {
		c.mu.Unlock()
		c.giveUp(reasonOverflow, fmt.Errorf("it is behind by more than the %d bytes that the relay keeps for it", c.service.config.ReplayBytes))
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

// room makes room for need bytes, if that can be done. It first drops what was sent and
// is not yet acknowledged: a backend that acknowledges only at the end is in good
// health, and needs those messages again only if its connection breaks.
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
		if clock.Wait(c.ctx, delay) != nil {
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

// discard drops what is kept, once nothing more is delivered.
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

// awaitCouriers waits until every courier is done, but not longer than ctx.
func (s *Service) awaitCouriers(ctx context.Context) error {
	s.mu.Lock()
	var all []<-chan struct{}
	for _, o := range s.orders {
		all = append(all, o.pending()...)
	}
	s.mu.Unlock()
	for _, done := range all {
		if err := awaitDone(ctx, done); err != nil {
			return err
		}
	}
	return nil
}
