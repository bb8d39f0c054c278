package haul

import (
	"context"
	"sync"
)

// locks are mutexes by name that a context can leave.
type locks struct {
	mu   sync.Mutex
	held map[digestAt]chan struct{} // closed when it is let go
}

func newLocks() *locks { return &locks{held: map[digestAt]chan struct{}{}} }

func (l *locks) lock(ctx context.Context, key digestAt) (unlock func(), err error) {
	for {
		l.mu.Lock()
		held := l.held[key]
		if held == nil {
			held = make(chan struct{})
			l.held[key] = held
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				delete(l.held, key)
				close(held)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
