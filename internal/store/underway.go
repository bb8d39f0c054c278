package store

import (
	"context"
	"sync"

	"github.com/riverqueue/river/rivertype"
)

// underWay are the runs that this process is working on.
type underWay struct {
	mu   sync.Mutex
	runs map[runID]running
}

type running struct {
	cancel context.CancelCauseFunc
	// ended is closed when how it ended has been written down.
	ended chan struct{}
}

// begin gives a context that ends when the job is called off.
func (u *underWay) begin(ctx context.Context, id runID) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.runs == nil {
		u.runs = map[runID]running{}
	}
	r := running{cancel: cancel, ended: make(chan struct{})}
	u.runs[id] = r
	return ctx, func() {
		cancel(nil)
		close(r.ended)
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.runs, id)
	}
}

func (u *underWay) cancel(jobs []int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, job := range jobs {
		for id, r := range u.runs {
			if id.job == job {
				r.cancel(rivertype.ErrJobCancelledRemotely)
			}
		}
	}
}

func (u *underWay) has(id runID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, here := u.runs[id]
	return here
}

// ended is closed when a run of the job ends here. It is nil if there is none.
func (u *underWay) ended(job int64) <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, r := range u.runs {
		if id.job == job {
			return r.ended
		}
	}
	return nil
}
