// Package clocktest has a clock for tests of code that waits: it goes on when somebody
// waits for it.
package clocktest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Clock is a clock that waits make go on. It is safe for concurrent use.
type Clock struct {
	mu    sync.Mutex
	at    time.Time
	waits []time.Duration
}

// New is a clock at some time of the past.
func New() *Clock { return &Clock{at: time.Unix(1_700_000_000, 0)} }

// Now is what time it is.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Wait lets d pass at once. Its error is the context's.
func (c *Clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.waits = append(c.waits, d)
	return ctx.Err()
}

// Pass lets d pass with nobody waiting.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Waits are the waits so far.
func (c *Clock) Waits() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.waits)
}
