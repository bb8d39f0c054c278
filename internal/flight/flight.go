// Package flight makes one call for all callers that ask for it at the same time. It
// gives up a call that takes too long, and remembers the result for a while.
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

	// farewell is how long the last caller that leaves waits for the call to end: what
	// the call has started should not outlive the process.
	farewell = time.Second
)

// Group is a set of calls by key. It holds no lock during a call, so a call that hangs
// delays only the callers of its key.
type Group[T any] struct {
	// Limit bounds the time of a call. It must be above zero.
	Limit time.Duration
	// Keep is how long a result is remembered, and KeepFailure how long an error is. Zero
	// means not at all.
	Keep, KeepFailure time.Duration
	// Now is the clock for the age of results. Defaults to [time.Now].
	Now func() time.Time

	mu    sync.Mutex
	calls map[string]*call[T]
}

// call is a call that is being made, or was.
type call[T any] struct {
	ctx    context.Context //nolint:containedctx // the call's own, which ends it
	cancel context.CancelFunc
	// waiting counts the callers that wait for the result. The group's mu protects it.
	waiting int
	// abandoned is set once no caller waits any more: then no caller gets the error.
	abandoned bool

	// done is closed once value and err are there.
	done  chan struct{}
	value T
	err   error
	ended time.Time
}

// LimitError says that a call took too long. The call may still be running.
type LimitError struct {
	Limit time.Duration
}

func (e *LimitError) Error() string { return fmt.Sprintf("no answer within %s", e.Limit) }

// Do returns the result of f for a key: from a call that is running, from a remembered
// one, or from a new one. The context that f gets ends with the limit, or when no caller
// waits any more. A call that ignores its context is left behind, and is not made again
// before it has ended.
func (g *Group[T]) Do(ctx context.Context, key string, f func(ctx context.Context) (T, error)) (T, error) {
	for {
		value, mine, err := g.take(ctx, key, f)
		if mine {
			return value, err
		}
	}
}

// take joins a call. The result is not for this caller if the others had given the call
// up before it joined.
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

// makeRoom forgets old calls first, and then any call that has ended.
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

// leave tells whether no caller is left for a call that is running.
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

// wait gives a call that must end a moment to do so.
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
