package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/ledger"
)

// Attempt says how often a job was tried.
type Attempt struct {
	// Number counts the attempts that failed, and this one. An attempt that was
	// interrupted, by a stop or a crash of the daemon, is not counted.
	Number int
	// Max is the Number of the last attempt. Whoever works on it returns a row,
	// whatever happens.
	Max int
	// Created is when the job was enqueued.
	Created time.Time
	// Classes are those of the attempts that failed, one each: [RetryError.Class].
	Classes []string

	id   runID
	kept *[]keptManifest
}

// FailuresOf counts the attempts that failed for a reason of the class.
func (a Attempt) FailuresOf(class string) int {
	n := 0
	for _, c := range a.Classes {
		if c == class {
			n++
		}
	}
	return n
}

// runID names one run of a job.
type runID struct {
	job int64 // river_job.id
	run int   // river_job.attempt, which only goes up
}

// Job is the number that the job has in the store.
func (a Attempt) Job() int64 { return a.id.job }

// Worker does jobs.
type Worker interface {
	// Work does one attempt at a job. With a nil error the job is completed and
	// the row written, in one transaction. With a [*PostponeError] the job comes
	// again and the attempt does not count; with any other error it is tried again
	// after a while, at least [RetryError.After]. When ctx ends the job is given
	// back as it was.
	Work(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error)
}

// RetryError says that a job should be tried again, and when at the soonest.
type RetryError struct {
	// After is the least time until the next attempt. The store's own backoff
	// holds if it is longer.
	After time.Duration
	// Class is one word for why it failed: [Attempt.FailuresOf] counts by it.
	Class string
	Err   error
	// Registry, if set, is the one that asked for the wait: see [PostponeError].
	Registry string
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// ErrLost says that a job was given to another worker meanwhile, or has ended.
// Whoever gets it has nothing more to do or to say.
var ErrLost = errors.New("the job was given to another worker")

// PostponeError says that a job could not be begun yet (its registry is busy,
// say), which is nobody's failure.
type PostponeError struct {
	// After is how long to wait.
	After time.Duration
	// Freed, if set, is closed when it is worth trying again before that: what was in the
	// way has ended.
	Freed <-chan struct{}
	// Registry, if set, is what the job waits for: it is tried again before that when
	// somebody calls [Store.WakeWaiting] with it.
	Registry string
}

func (e *PostponeError) Error() string { return fmt.Sprintf("postponed by %s", e.After) }
