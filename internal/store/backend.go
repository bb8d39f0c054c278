package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// backend is a [database] whose transactions are TTx: *sql.Tx or pgx.Tx.
type backend[TTx any] struct {
	driver riverdriver.Driver[TTx]
	// inserter is a River client that only inserts.
	inserter *river.Client[TTx]
	begin    func(ctx context.Context) (transaction[TTx], error)
	join     func(ctx context.Context, name string) (session, error)
	copies   func(ctx context.Context, path string) error // nil: there is no such thing
	reader   conn
	kind     dialect
	shut     func()
}

// transaction is a conn in a transaction.
type transaction[TTx any] interface {
	conn
	raw() TTx
	commit(ctx context.Context) error
	rollback(ctx context.Context)
}

// jobArgs is a Job as River's queue holds it.
type jobArgs struct{ Job }

// Kind implements [river.JobArgs].
func (jobArgs) Kind() string { return "haul" }

// maxRuns bounds how often one job is begun, interrupted runs included, so that
// a job that kills its daemon each time comes to an end. Failures are bounded by
// [Options.MaxAttempts], long before.
const maxRuns = 1000

func (b *backend[TTx]) read() conn       { return b.reader }
func (b *backend[TTx]) dialect() dialect { return b.kind }
func (b *backend[TTx]) close()           { b.shut() }

func (b *backend[TTx]) session(ctx context.Context, name string) (session, error) {
	return b.join(ctx, name)
}

func (b *backend[TTx]) copyTo(ctx context.Context, path string) error {
	if b.copies == nil {
		return errors.ErrUnsupported
	}
	return b.copies(ctx, path)
}

func (b *backend[TTx]) write(ctx context.Context, fn func(context.Context, conn) error) error {
	tx, err := b.begin(ctx)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := fn(ctx, tx); err != nil {
		tx.rollback(context.WithoutCancel(ctx))
		return err
	}
	if err := tx.commit(ctx); err != nil {
		tx.rollback(context.WithoutCancel(ctx))
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}

func (b *backend[TTx]) insert(ctx context.Context, tx conn, jobs []Job) ([]int64, error) {
	params := make([]river.InsertManyParams, len(jobs))
	for i, job := range jobs {
		params[i] = river.InsertManyParams{
			Args:       jobArgs{job},
			InsertOpts: &river.InsertOpts{Priority: int(job.Priority), MaxAttempts: maxRuns},
		}
	}
	results, err := b.inserter.InsertManyTx(ctx, raw[TTx](tx), params)
	if err != nil {
		return nil, fmt.Errorf("insert jobs: %w", err)
	}
	ids := make([]int64, len(results))
	for i, r := range results {
		ids[i] = r.Job.ID
	}
	return ids, nil
}

func (b *backend[TTx]) settle(ctx context.Context, tx conn, states []*riverdriver.JobSetStateIfRunningParams, now time.Time) error {
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
		return fmt.Errorf("set job states: %w", err)
	}
	return nil
}

func (b *backend[TTx]) jobs(ctx context.Context, tx conn, ids []int64) ([]*rivertype.JobRow, error) {
	executor := b.driver.GetExecutor()
	if tx != nil {
		executor = b.driver.UnwrapExecutor(raw[TTx](tx))
	}
	rows, err := executor.JobGetByIDMany(ctx, &riverdriver.JobGetByIDManyParams{ID: ids})
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return rows, nil
}

func (b *backend[TTx]) cancel(ctx context.Context, tx conn, job int64) (*rivertype.JobRow, error) {
	return b.inserter.JobCancelTx(ctx, raw[TTx](tx), job)
}

func (b *backend[TTx]) retry(ctx context.Context, tx conn, job int64) error {
	_, err := b.inserter.JobRetryTx(ctx, raw[TTx](tx), job)
	return err
}

func (b *backend[TTx]) runner(config *river.Config) (runner, error) {
	return river.NewClient[TTx](silent[TTx]{b.driver}, config)
}

// silent is a River driver under which River does not set the state of a job
// that it has worked on. The store does, in the transaction that writes the row,
// and only where the job is still in the same run: River's own statement asks
// for the job alone, and would end another worker's run of it.
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

// raw is the database's own transaction. A conn that is none, or another
// database's, is a mistake in this package.
func raw[TTx any](tx conn) TTx {
	t, ok := tx.(transaction[TTx])
	if !ok {
		panic(fmt.Sprintf("store: %T is not a transaction of this database", tx))
	}
	return t.raw()
}
