package dispatch

import (
	"context"
	"errors"
	"sync"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// batch is what one or more events ask to be made durable together.
type batch struct {
	id         string // invocation
	jobs       []store.Job
	records    [][]byte
	invocation *store.Invocation
}

func (b *batch) empty() bool {
	return len(b.jobs) == 0 && len(b.records) == 0 && b.invocation == nil
}

// commit is a batch on its way to the disk: done is closed when it is there, or
// when err says why not.
type commit struct {
	batch
	done chan struct{}
	err  error
}

func (c *commit) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// batcher commits for one stream. Whatever comes while one commit is under way
// makes up the next, so that a burst of events costs a few commits and Observe
// never waits for the disk.
type batcher struct {
	queue Queue
	// owner is whose the stream is.
	owner string
	// overQuota is told of push specs that are not kept since their client may have no more.
	overQuota func(*store.QuotaError)
	// missing says that the invocation is known to miss such.
	missing bool
	ctx     context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	next    *commit // nil: nothing waits
	running bool
	closed  bool
	workers sync.WaitGroup
}

var errClosed = unavailable(errors.New("the stream has ended"))

// newBatcher makes a batcher whose commits outlast the stream's context: Bazel may
// leave, what was found is kept all the same.
func newBatcher(ctx context.Context, queue Queue, owner string, overQuota func(*store.QuotaError)) *batcher {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	return &batcher{queue: queue, owner: owner, overQuota: overQuota, ctx: ctx, stop: stop}
}

// add puts news into the next commit and returns the wait for it.
func (b *batcher) add(news batch) func(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return func(context.Context) error { return errClosed }
	}
	if b.next == nil {
		b.next = &commit{batch: batch{id: news.id}, done: make(chan struct{})}
	}
	c := b.next
	c.jobs = append(c.jobs, news.jobs...)
	c.records = append(c.records, news.records...)
	if news.invocation != nil {
		if c.invocation != nil {
			news.invocation.Absent = append(c.invocation.Absent, news.invocation.Absent...)
		}
		c.invocation = news.invocation
	}
	if !b.running {
		b.running = true
		b.workers.Add(1)
		go b.run()
	}
	return c.wait
}

// run commits until nothing waits. There is a goroutine only while there is work:
// most streams are silent most of the time.
func (b *batcher) run() {
	defer b.workers.Done()
	for {
		b.mu.Lock()
		c := b.next
		b.next = nil
		if c == nil {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		c.err = refusal(b.write(&c.batch))
		close(c.done)
	}
}

// write is in an order that a crash at any point leaves right: jobs before the
// word that the stream is complete.
func (b *batcher) write(c *batch) error {
	if len(c.records) > 0 {
		if err := b.queue.Remember(b.ctx, c.id, b.owner, c.records); err != nil {
			return err
		}
	}
	if len(c.jobs) > 0 {
		err := b.queue.Enqueue(b.ctx, c.jobs)
		if quota, is := errors.AsType[*store.QuotaError](err); is {
			b.miss(c, quota)
		} else if err != nil {
			return err
		}
	}
	if c.invocation != nil {
		return b.queue.SaveInvocation(b.ctx, *c.invocation)
	}
	return nil
}

// miss notes that push specs are not kept. Bazel is not told, but whoever waits for the
// pushes is: one row says so, since many would be what the quota is against.
func (b *batcher) miss(c *batch, quota *store.QuotaError) {
	b.overQuota(quota)
	if b.missing {
		return
	}
	b.missing = true
	last := c.jobs[len(c.jobs)-1] // the first ones may have been kept
	if c.invocation == nil {
		c.invocation = &store.Invocation{ID: c.id, Owner: b.owner}
	}
	c.invocation.Absent = append(c.invocation.Absent, store.Absent{
		Target: last.Target, Configuration: last.Configuration, Aspect: last.Aspect, State: ledger.ExpectedLost,
		Reason: "its push spec, and perhaps others, is not kept: " + quota.Error(),
	})
}

// close waits for what is being committed.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.workers.Wait()
	b.stop()
}
