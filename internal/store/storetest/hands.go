package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// Hands is a worker that does with each job what the test says.
type Hands struct {
	// Stop stops the work before the test ends. Jobs that the test has not ended are
	// postponed.
	Stop func()

	store *store.Store
	begun chan store.Attempt
	// stopped is closed by Stop.
	stopped chan struct{}
	mu      sync.Mutex
	ends    map[int64]chan ledger.Entry // by job
	// invocations are those of the jobs that were begun, by job.
	invocations map[int64]string
}

// beginLimit is how long a job may take to be begun, or to be settled.
const beginLimit = 20 * time.Second

// NewHands works on the store's jobs until the test ends.
func NewHands(t *testing.T, s *store.Store) *Hands {
	t.Helper()
	h := &Hands{store: s, begun: make(chan store.Attempt), stopped: make(chan struct{}), ends: map[int64]chan ledger.Entry{}, invocations: map[int64]string{}}
	stop := Run(t, s, h.work)
	h.Stop = sync.OnceFunc(func() {
		close(h.stopped)
		stop()
	})
	t.Cleanup(h.Stop)
	return h
}

func (h *Hands) work(_ context.Context, _ store.Job, attempt store.Attempt) (ledger.Entry, error) {
	ended := h.end(attempt)
	select {
	case h.begun <- attempt:
	case <-h.stopped:
		return ledger.Entry{}, &store.PostponeError{After: time.Hour}
	}
	select {
	case e := <-ended:
		return e, nil
	case <-h.stopped:
		return ledger.Entry{}, &store.PostponeError{After: time.Hour}
	}
}

func (h *Hands) end(attempt store.Attempt) chan ledger.Entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ends[attempt.Job()] == nil {
		h.ends[attempt.Job()] = make(chan ledger.Entry)
	}
	return h.ends[attempt.Job()]
}

// Begin enqueues a job of the invocation, and returns when it is running.
func (h *Hands) Begin(t *testing.T, invocation string) store.Attempt {
	t.Helper()
	Enqueue(t, h.store, Jobs(invocation, 1))
	select {
	case attempt := <-h.begun:
		h.invocations[attempt.Job()] = invocation
		return attempt
	case <-time.After(beginLimit):
		t.Fatal("the job was not begun")
	}
	return store.Attempt{}
}

// End ends a job that was begun with a row, and returns when that is written.
func (h *Hands) End(t *testing.T, attempt store.Attempt, entry ledger.Entry) {
	t.Helper()
	h.end(attempt) <- entry
	Settled(t, h.store, h.invocations[attempt.Job()], beginLimit)
}
