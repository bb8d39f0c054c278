// Package flight makes a call once for all who ask for it at the same time, gives up
// one that takes too long, and remembers for a while what came of it.
package flight

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// maxRemembered bounds the calls that are remembered.
	maxRemembered = 4096

	// farewell is how long the last one who leaves waits for the call to notice: what
	// it has started should not outlive the process.
	farewell = time.Second
)

// Group is a set of calls by key. No lock is held while one is made, so that a call
// that hangs keeps nobody waiting but those who asked for the same.
type Group[T any] struct {
	// Limit bounds a call. It must be above zero.
	Limit time.Duration
	// Keep is for how long a result is given to others, KeepFailure for how long an
	// error is. Zero is not at all.
	Keep, KeepFailure time.Duration
	// Now is the clock by which results grow old. Defaults to [time.Now].
	Now func() time.Time

	mu    sync.Mutex
	calls map[string]*call[T]
}

// call is one that is being made, or was.
type call[T any] struct {
	ctx    context.Context //nolint:containedctx // the call's own, which ends it
	cancel context.CancelFunc
	// waiting counts those who want the result. The group's mu is held.
	waiting int
	// abandoned is set once nobody waited any more: the error is nobody's then.
	abandoned bool

	// done is closed once value and err are there.
	done  chan struct{}
	value T
	err   error
	ended time.Time
}

// LimitError says that a call took too long. It may be under way still.
type LimitError struct {
	Limit time.Duration
}

func (e *LimitError) Error() string { return fmt.Sprintf("no answer within %s", e.Limit) }

// Do returns the result of f for a key: of a call that is under way, of one that was
// made not long ago, or of a new one. The context that f gets ends with the limit, or
// once nobody waits any more. One that does not heed it is left behind, and not made
// again before it has ended.
func (g *Group[T]) Do(ctx context.Context, key string, f func(ctx context.Context) (T, error)) (T, error) {
	for {
		value, mine, err := g.take(ctx, key, f)
		if mine {
			return value, err
		}
	}
}

// take joins a call. The result is not the caller's own where others had given the
// call up when it was joined.
func (g *Group[T]) take(ctx context.Context, key string, f func(ctx context.Context) (T, error)) (value T, mine bool, err error) {
	c := g.join(ctx, key, f)
	select {
	case <-c.done:
	case <-ctx.Done():
		if g.leave(c) {
			c.cancel()
			c.wait()
		}
		return value, true, context.Cause(ctx)
	case <-c.ctx.Done():
		// The call is told at the same time, and has the better error.
		if !c.wait() {
			g.leave(c)
			return value, true, &LimitError{Limit: g.Limit}
		}
	}
	g.leave(c)
	return c.value, !c.abandoned, c.err
}

func (g *Group[T]) now() time.Time {
	if g.Now != nil {
		return g.Now()
	}
	return time.Now()
}

// join finds or begins a call.
func (g *Group[T]) join(ctx context.Context, key string, f func(ctx context.Context) (T, error)) *call[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.calls[key]; c != nil && (c.ended.IsZero() || g.fresh(c)) {
		c.waiting++
		return c
	}
	g.makeRoom()
	c := &call[T]{waiting: 1, done: make(chan struct{})}
	c.ctx, c.cancel = context.WithTimeoutCause(context.WithoutCancel(ctx), g.Limit, &LimitError{Limit: g.Limit})
	g.calls[key] = c
	go func() {
		defer c.cancel()
		c.value, c.err = f(c.ctx)
		g.mu.Lock()
		c.ended = g.now()
		if !g.fresh(c) && g.calls[key] == c {
			delete(g.calls, key)
		}
		g.mu.Unlock()
		close(c.done)
	}()
	return c
}

func (g *Group[T]) fresh(c *call[T]) bool {
	keep := g.Keep
	if c.err != nil {
		keep = g.KeepFailure
	}
	return !c.abandoned && g.now().Sub(c.ended) < keep
}

// makeRoom forgets what is old, and then anything that has ended.
func (g *Group[T]) makeRoom() {
	if g.calls == nil {
		g.calls = map[string]*call[T]{}
	}
	if len(g.calls) < maxRemembered {
		return
	}
	for key, c := range g.calls {
		if !c.ended.IsZero() && !g.fresh(c) {
			delete(g.calls, key)
		}
	}
	for key, c := range g.calls {
		if len(g.calls) < maxRemembered {
			return
		}
		if !c.ended.IsZero() {
			delete(g.calls, key)
		}
	}
}

// leave tells whether nobody is left who waits for a call that is under way.
func (g *Group[T]) leave(c *call[T]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.waiting--
	if c.waiting > 0 || !c.ended.IsZero() {
		return false
	}
	c.abandoned = true
	return true
}

// wait gives a call that was told to end a moment to do so.
func (c *call[T]) wait() bool {
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	select {
	case <-c.done:
		return true
	case <-timer.C:
		return false
	}
}
