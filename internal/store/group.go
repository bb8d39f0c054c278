package store

import (
	"context"
	"sync"
	"time"
)

// commitLimit bounds one transaction: when a server does not answer any more,
// callers are to hear of it.
const commitLimit = 30 * time.Second

// group commits many callers' work in few transactions. Callers are told apart
// by key, and served in turn, so that a caller with much to do does not keep the
// others waiting.
type group[T any] struct {
	// run commits a batch: all of it, or nothing with an error.
	run func(ctx context.Context, batch []T) error
	// size bounds a batch, by the weights of its work. Work that is heavier still
	// is a batch of its own.
	size int

	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu     sync.Mutex
	wake   *sync.Cond
	closed bool
	// turns are the keys that have something waiting, the next to be served first.
	turns   []string
	waiting map[string][]*submission[T]
}

type submission[T any] struct {
	work   T
	weight int
	done   chan error
}

// newGroup starts a group that has up to parallel transactions under way.
func newGroup[T any](parallel, size int, run func(context.Context, []T) error) *group[T] {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // close cancels it
	g := &group[T]{run: run, size: size, waiting: map[string][]*submission[T]{}, ctx: ctx, cancel: cancel}
	g.wake = sync.NewCond(&g.mu)
	for range parallel {
		g.workers.Go(g.loop)
	}
	return g
}

// do commits work and returns when it is durable, or why it is not. When ctx
// ends first the work may still be committed.
func (g *group[T]) do(ctx context.Context, key string, weight int, work T) error {
	s := &submission[T]{work: work, weight: weight, done: make(chan error, 1)}
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return ErrClosed
	}
	if len(g.waiting[key]) == 0 {
		g.turns = append(g.turns, key)
	}
	g.waiting[key] = append(g.waiting[key], s)
	g.mu.Unlock()
	g.wake.Signal()

	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close commits what is waiting and returns when nothing is under way. When ctx
// ends, what is under way is cut off.
func (g *group[T]) close(ctx context.Context) {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.wake.Broadcast()
	stop := context.AfterFunc(ctx, g.cancel)
	defer stop()
	g.workers.Wait()
	g.cancel()
}

func (g *group[T]) loop() {
	for {
		batch := g.take()
		if batch == nil {
			return
		}
		g.commit(batch)
	}
}

// take waits for work. It returns nil when the group is closed and empty.
func (g *group[T]) take() []*submission[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.turns) == 0 {
		if g.closed {
			return nil
		}
		g.wake.Wait()
	}
	var batch []*submission[T]
	weight := 0
	for len(g.turns) > 0 {
		key := g.turns[0]
		queue := g.waiting[key]
		weight += queue[0].weight
		if len(batch) > 0 && weight > g.size {
			break
		}
		g.turns = g.turns[1:]
		batch = append(batch, queue[0])
		if len(queue) == 1 {
			delete(g.waiting, key)
			continue
		}
		g.waiting[key] = queue[1:]
		g.turns = append(g.turns, key)
	}
	return batch
}

// commit tries the batch as a whole, and one by one if that fails, so that one
// caller's bad work is that caller's failure alone.
func (g *group[T]) commit(batch []*submission[T]) {
	work := make([]T, len(batch))
	for i, s := range batch {
		work[i] = s.work
	}
	err := g.runOne(work)
	if err == nil || len(batch) == 1 {
		for _, s := range batch {
			s.done <- err
		}
		return
	}
	for i, s := range batch {
		s.done <- g.runOne(work[i : i+1])
	}
}

func (g *group[T]) runOne(work []T) error {
	ctx, cancel := context.WithTimeout(g.ctx, commitLimit)
	defer cancel()
	return g.run(ctx, work)
}
