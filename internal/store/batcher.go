package store

import (
	"context"
	"sync"
	"time"
)

// commitLimit bounds one transaction: when a server does not answer any more,
// callers are to hear of it.
const commitLimit = 30 * time.Second

// batcher commits many callers' work in few transactions. Callers are told apart
// by key, and served in turn, so that a caller with much to do does not keep the
// others waiting.
type batcher[T any] struct {
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

// newBatcher starts a batcher that has up to parallel transactions under way.
func newBatcher[T any](parallel, size int, run func(context.Context, []T) error) *batcher[T] {
	ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // close cancels it
	b := &batcher[T]{run: run, size: size, waiting: map[string][]*submission[T]{}, ctx: ctx, cancel: cancel}
	b.wake = sync.NewCond(&b.mu)
	for range parallel {
		b.workers.Go(b.loop)
	}
	return b
}

// do commits work and returns when it is durable, or why it is not. When ctx
// ends first the work may still be committed.
func (b *batcher[T]) do(ctx context.Context, key string, weight int, work T) error {
	s := &submission[T]{work: work, weight: weight, done: make(chan error, 1)}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return errClosed
	}
	if len(b.waiting[key]) == 0 {
		b.turns = append(b.turns, key)
	}
	b.waiting[key] = append(b.waiting[key], s)
	b.mu.Unlock()
	b.wake.Signal()

	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close commits what is waiting and returns when nothing is under way. When ctx
// ends, what is under way is cut off.
func (b *batcher[T]) close(ctx context.Context) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.wake.Broadcast()
	stop := context.AfterFunc(ctx, b.cancel)
	defer stop()
	b.workers.Wait()
	b.cancel()
}

func (b *batcher[T]) loop() {
	for {
		batch := b.take()
		if batch == nil {
			return
		}
		b.commit(batch)
	}
}

// take waits for work. It returns nil when the batcher is closed and empty.
func (b *batcher[T]) take() []*submission[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.turns) == 0 {
		if b.closed {
			return nil
		}
		b.wake.Wait()
	}
	var batch []*submission[T]
	weight := 0
	for len(b.turns) > 0 {
		key := b.turns[0]
		queue := b.waiting[key]
		weight += queue[0].weight
		if len(batch) > 0 && weight > b.size {
			break
		}
		b.turns = b.turns[1:]
		batch = append(batch, queue[0])
		if len(queue) == 1 {
			delete(b.waiting, key)
			continue
		}
		b.waiting[key] = queue[1:]
		b.turns = append(b.turns, key)
	}
	return batch
}

// commit tries the batch as a whole, and one by one if that fails, so that one
// caller's bad work is that caller's failure alone.
func (b *batcher[T]) commit(batch []*submission[T]) {
	work := make([]T, len(batch))
	for i, s := range batch {
		work[i] = s.work
	}
	err := b.runOne(work)
	if err == nil || len(batch) == 1 {
		for _, s := range batch {
			s.done <- err
		}
		return
	}
	for i, s := range batch {
		s.done <- b.runOne(work[i : i+1])
	}
}

func (b *batcher[T]) runOne(work []T) error {
	ctx, cancel := context.WithTimeout(b.ctx, commitLimit)
	defer cancel()
	return b.run(ctx, work)
}
