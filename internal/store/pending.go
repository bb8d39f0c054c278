package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// pendingPoll is how often Wait looks for what another daemon has done.
const pendingPoll = 500 * time.Millisecond

// Pending counts the pushes of an invocation that have not come to an end.
func (s *Store) Pending(ctx context.Context, invocation string) (int, error) {
	var n int
	_, err := sqldb.QueryRow(ctx, s.db.Read(),
		`SELECT COUNT(*) FROM expected WHERE invocation_id = ? AND job_id IS NOT NULL AND entry_id IS NULL`, []any{sqldb.CleanText(invocation)}, &n)
	if err != nil {
		return 0, fmt.Errorf("count pending pushes of invocation %s: %w", invocation, err)
	}
	return n, nil
}

// Wait returns nil when no push of the invocation is pending, and its tags are not about
// to move; and ctx's error when ctx ends first. What waits at a gate for something else than
// a push of the invocation is not waited for: see [Store.Release].
func (s *Store) Wait(ctx context.Context, invocation string) error {
	told, forget := s.changes.watch(sqldb.CleanText(invocation))
	defer forget()
	poll := time.NewTicker(pendingPoll)
	defer poll.Stop()
	for {
		n, err := s.Pending(ctx, invocation)
		if err != nil {
			return err
		}
		if n == 0 {
			if err := s.decideIfDue(ctx, sqldb.CleanText(invocation)); err != nil {
				return err
			}
			// Somebody may have decided in between.
			if n, err = s.Pending(ctx, invocation); err != nil || n == 0 {
				return err
			}
		}
		select {
		case <-told:
		case <-poll.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// changes tells who waits for an invocation that one of its pushes has ended.
type changes struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]bool
}

func newChanges() *changes { return &changes{watchers: map[string]map[chan struct{}]bool{}} }

func (c *changes) watch(invocation string) (told <-chan struct{}, forget func()) {
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watchers[invocation] == nil {
		c.watchers[invocation] = map[chan struct{}]bool{}
	}
	c.watchers[invocation][ch] = true
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers[invocation], ch)
		if len(c.watchers[invocation]) == 0 {
			delete(c.watchers, invocation)
		}
	}
}

func (c *changes) tell(invocation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ch := range c.watchers[invocation] {
		select {
		case ch <- struct{}{}:
		default: // it has not looked since it was told last
		}
	}
}
