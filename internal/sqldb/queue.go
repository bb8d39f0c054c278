package sqldb

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// InsertJobs implements [DB].
func (b *backend[TTx]) InsertJobs(ctx context.Context, tx Conn, jobs []river.InsertManyParams) ([]int64, error) {
	results, err := b.inserter.InsertManyTx(ctx, raw[TTx](tx), jobs)
	if err != nil {
		return nil, fmt.Errorf("insert jobs: %w", advise(err))
	}
	ids := make([]int64, len(results))
	for i, r := range results {
		ids[i] = r.Job.ID
	}
	return ids, nil
}

// SetJobStates implements [DB].
func (b *backend[TTx]) SetJobStates(ctx context.Context, tx Conn, states []*riverdriver.JobSetStateIfRunningParams, now time.Time) error {
	if b.completeJobs != nil {
		var err error
		if states, err = b.completeJobs(ctx, tx, states, now); err != nil {
			return fmt.Errorf("set job states: %w", advise(err))
		}
		if len(states) == 0 {
			return nil
		}
	}
	many := &riverdriver.JobSetStateIfRunningManyParams{Now: &now}
	for _, p := range states {
		many.ID = append(many.ID, p.ID)
		many.Attempt = append(many.Attempt, p.Attempt)
		many.ErrData = append(many.ErrData, p.ErrData)
		many.FinalizedAt = append(many.FinalizedAt, p.FinalizedAt)
		many.MetadataDoMerge = append(many.MetadataDoMerge, p.MetadataDoMerge)
		many.MetadataUpdates = append(many.MetadataUpdates, p.MetadataUpdates)
		many.ScheduledAt = append(many.ScheduledAt, p.ScheduledAt)
		many.State = append(many.State, p.State)
	}
	if _, err := b.driver.UnwrapExecutor(raw[TTx](tx)).JobSetStateIfRunningMany(ctx, many); err != nil {
		return fmt.Errorf("set job states: %w", advise(err))
	}
	return nil
}

// Jobs implements [DB].
func (b *backend[TTx]) Jobs(ctx context.Context, tx Conn, ids []int64) ([]*rivertype.JobRow, error) {
	executor := b.driver.GetExecutor()
	if tx != nil {
		executor = b.driver.UnwrapExecutor(raw[TTx](tx))
	}
	rows, err := executor.JobGetByIDMany(ctx, &riverdriver.JobGetByIDManyParams{ID: ids})
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", advise(err))
	}
	return rows, nil
}

// CancelJob implements [DB].
func (b *backend[TTx]) CancelJob(ctx context.Context, tx Conn, job int64) (*rivertype.JobRow, error) {
	row, err := b.inserter.JobCancelTx(ctx, raw[TTx](tx), job)
	return row, advise(err)
}

// RetryJob implements [DB].
func (b *backend[TTx]) RetryJob(ctx context.Context, tx Conn, job int64) error {
	_, err := b.inserter.JobRetryTx(ctx, raw[TTx](tx), job)
	return advise(err)
}

// Runner implements [DB].
func (b *backend[TTx]) Runner(config *river.Config) (Runner, error) {
	config.FetchPollInterval, config.PollOnly = b.fetchPoll, b.pollOnly
	config.Logger = riverLogger(b.logger)
	return river.NewClient[TTx](silent[TTx]{b.driver}, config)
}

// silent is a River driver under which River does not set the state of a job
// that it has worked on. [DB.SetJobStates] does, in the transaction that checks
// that the job is still in the same run: River's own statement asks for the job
// alone, and would end another worker's run of it.
type silent[TTx any] struct{ riverdriver.Driver[TTx] }

// GetExecutor implements [riverdriver.Driver].
func (d silent[TTx]) GetExecutor() riverdriver.Executor {
	return silentExecutor{d.Driver.GetExecutor()}
}

type silentExecutor struct{ riverdriver.Executor }

// JobSetStateIfRunningMany implements [riverdriver.Executor].
func (silentExecutor) JobSetStateIfRunningMany(context.Context, *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	return nil, nil
}
