package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// settleRetry is how long a worker waits before it tries again to write down how
// its job ended.
const settleRetry = 500 * time.Millisecond

// adapter is our worker as River sees it.
type adapter struct {
	river.WorkerDefaults[jobArgs]
	store  *Store
	worker Worker
}

// Work implements [river.Worker]. Its result means nothing:
// River sets no state (see [sqldb.DB.SetJobStates]).
func (a *adapter) Work(ctx context.Context, job *river.Job[jobArgs]) error {
	a.store.attempt(ctx, a.worker, job.JobRow, job.Args.Job)
	return nil
}

// attempt does one run of a job and writes down how it ended.
func (s *Store) attempt(ctx context.Context, worker Worker, row *rivertype.JobRow, job Job) {
	var kept []keptManifest
	attempt := Attempt{Number: len(row.Errors) + 1, Max: s.options.MaxAttempts, Created: row.CreatedAt, id: runID{row.ID, row.Attempt}, kept: &kept}
	for _, failed := range row.Errors {
		attempt.Classes = append(attempt.Classes, failed.Trace)
	}
	if row.Attempt >= maxRuns {
		attempt.Max = attempt.Number
	}
	ctx, end := s.underWay.begin(ctx, attempt.id)
	defer end()
	defer s.tags.letGo(attempt.id)
	began := s.now()
	var entry ledger.Entry
	err := rivertype.ErrJobCancelledRemotely
	// It may have been called off while its daemon was dead.
	if !calledOff(row) {
		entry, err = safely(ctx, worker, job, attempt)
	}
	settled := s.judge(ctx, job, attempt, began, entry, err)
	settled.kept = kept
	s.writeDown(ctx, settled)
}

// calledOff says whether a job was cancelled while it was running.
func calledOff(row *rivertype.JobRow) bool {
	var metadata struct {
		Cancelled string `json:"cancel_attempted_at"`
	}
	// River's own metadata, which nobody else writes.
	return json.Unmarshal(row.Metadata, &metadata) == nil && metadata.Cancelled != ""
}

// judge says what the end of an attempt means for the job.
func (s *Store) judge(ctx context.Context, job Job, attempt Attempt, began time.Time, entry ledger.Entry, err error) *settlement {
	now := s.now()
	id := attempt.id
	end := &settlement{id: id, job: job}
	postponed, isPostponed := errors.AsType[*PostponeError](err)
	switch {
	case err == nil:
	case errors.Is(err, rivertype.ErrJobCancelledRemotely), errors.Is(context.Cause(ctx), rivertype.ErrJobCancelledRemotely):
		entry, end.unworked = cancelledEntry(job, attempt.Number), true
	case errors.Is(ctx.Err(), context.Canceled):
		// The daemon stops. Whatever the worker made of that, it is nobody's failure;
		// running out of [Options.JobTimeout] is.
		end.state = laterState(id, now, now)
		return end
	case isPostponed:
		end.state, end.waitsFor = laterState(id, now, now.Add(postponed.After)), postponed.Registry
		return end
	case attempt.Number < attempt.Max:
		wait, class := s.options.Backoff(attempt.Number), ""
		if retry, ok := errors.AsType[*RetryError](err); ok {
			wait, class = max(wait, retry.After), sqldb.CleanText(retry.Class)
			end.waitsFor = retry.Registry
		}
		// River keeps these four of a failed attempt, and sets a trace only where itself it
		// has caught a panic: it does not here.
		data, invalid := json.Marshal(rivertype.AttemptError{At: began, Attempt: id.run, Error: sqldb.CleanText(err.Error()), Trace: class})
		if invalid != nil {
			s.logger.Error().Err(invalid).Msg("cannot write down a failed attempt; it is not counted")
			data = nil
		}
		end.state = retryState(id.job, now, now.Add(wait), data)
		return end
	default:
		// The worker should have made the row. Nothing may vanish because it did not.
		entry, end.unworked = unworkedEntry(job), true
		entry.Outcome, entry.ErrorClass, entry.Error = ledger.Failed, "internal", err.Error()
		entry.Attempts, entry.Duration = attempt.Number, now.Sub(began)
	}
	end.entry = completed(entry, job, id.job, now)
	end.state = riverdriver.JobSetStateCompleted(id.job, now, nil)
	return end
}

// safely is Work with a panic as an error.
func safely(ctx context.Context, worker Worker, job Job, attempt Attempt) (entry ledger.Entry, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the worker panicked: %v\n%s", v, debug.Stack())
		}
	}()
	return worker.Work(ctx, job, attempt)
}

// writeDown commits the end of a run. As long as the database refuses, the job
// stays this worker's; a daemon that is stopped meanwhile leaves it to the next
// start.
func (s *Store) writeDown(ctx context.Context, end *settlement) {
	job := end.job
	log := s.logger.With().Str("invocation", job.Invocation).Str("target", job.Target).Logger()
	for {
		// What the worker did is done, whoever wants to stop now.
		err := s.settlements.do(context.WithoutCancel(ctx), job.Invocation, 1, end)
		if err == nil {
			break
		}
		log.Error().Err(err).Msg("cannot write down how the push ended; trying again")
		if clock.Wait(ctx, settleRetry) != nil {
			return
		}
	}
	if end.lost {
		log.Warn().Int("run", end.id.run).Msg("the job was given to another worker meanwhile; what this run did is not recorded")
	}
}
