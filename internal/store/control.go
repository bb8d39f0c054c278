package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/ledger"
)

// controlSize bounds the jobs that one transaction acts on.
const controlSize = 100

// Selection says which jobs are meant. All fields that are set have to hold, and
// one has to be set.
type Selection struct {
	Job        int64
	Invocation string
	Target     string
	// All means every job; it cannot be meant by leaving the others empty.
	All bool
}

func (s Selection) where() (string, []any, error) {
	if s == (Selection{}) {
		return "", nil, errors.New("no job is selected: name a job, an invocation or a target, or say all")
	}
	where, args := `x.job_id IS NOT NULL`, []any{}
	for _, filter := range []struct {
		condition string
		value     any
		set       bool
	}{
		{`x.job_id = ?`, s.Job, s.Job != 0},
		{`x.invocation_id = ?`, cleanText(s.Invocation), s.Invocation != ""},
		{`x.target = ?`, cleanText(s.Target), s.Target != ""},
	} {
		if filter.set {
			where += ` AND ` + filter.condition
			args = append(args, filter.value)
		}
	}
	return where, args, nil
}

// expectedRow is a row of the table expected.
type expectedRow struct {
	id, job int64
}

// selected calls act with the selected pushes that fulfil the condition, in the
// order of their numbers, in transactions of a bounded size.
func (s *Store) selected(ctx context.Context, selection Selection, condition string, act func(ctx context.Context, tx conn, rows []expectedRow) error) error {
	where, args, err := selection.where()
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		var rows []expectedRow
		err := s.db.write(ctx, func(ctx context.Context, tx conn) error {
			rows = rows[:0]
			err := tx.query(ctx, `SELECT x.id, x.job_id FROM expected x WHERE x.id > ? AND `+where+` AND `+condition+
				fmt.Sprintf(` ORDER BY x.id LIMIT %d`, controlSize)+s.db.dialect().forUpdate, append([]any{after}, args...),
				func(scan func(...any) error) error {
					var r expectedRow
					if err := scan(&r.id, &r.job); err != nil {
						return err
					}
					rows = append(rows, r)
					return nil
				})
			if err != nil || len(rows) == 0 {
				return err
			}
			return act(ctx, tx, rows)
		})
		if err != nil {
			return advise(err)
		}
		if len(rows) < controlSize {
			return nil
		}
		after = rows[len(rows)-1].id
	}
}

// pendingOnly selects what has not ended, badOnly what ended without the image in
// its place.
const (
	pendingOnly = `x.entry_id IS NULL`
	badOnly     = `x.entry_id IS NOT NULL AND x.outcome NOT IN ('pushed', 'present')`
)

// Cancel calls off jobs that have not ended. What waits ends at once with the
// outcome cancelled; what is under way hears its context end, and ends as
// cancelled unless it was done just before. It returns how many jobs it found.
func (s *Store) Cancel(ctx context.Context, selection Selection) (int, error) {
	total := 0
	var running []int64
	var ended []ledger.Entry
	err := s.selected(ctx, selection, pendingOnly, func(ctx context.Context, tx conn, rows []expectedRow) error {
		var entries []ledger.Entry
		for _, r := range rows {
			row, err := s.db.cancel(ctx, tx, r.job)
			if errors.Is(err, rivertype.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			total++
			if row.State != rivertype.JobStateCancelled {
				running = append(running, r.job)
				continue
			}
			job, err := decodeJob(row)
			if err != nil {
				return err
			}
			entries = append(entries, *completed(cancelledEntry(job, len(row.Errors)), job, row.ID, s.now()))
		}
		ended = append(ended, entries...)
		return s.record(ctx, tx, entries)
	})
	if err != nil {
		return 0, fmt.Errorf("cancel jobs: %w", err)
	}
	s.announce(ended)
	// Another daemon's jobs are told by the database.
	s.underWay.cancel(running)
	return total, nil
}

// RetryNow makes jobs that wait for their next attempt available at once, and
// returns how many there were.
func (s *Store) RetryNow(ctx context.Context, selection Selection) (int, error) {
	total := 0
	err := s.selected(ctx, selection, pendingOnly, func(ctx context.Context, tx conn, rows []expectedRow) error {
		for _, r := range rows {
			state := ""
			if _, err := queryRow(ctx, tx, `SELECT state FROM river_job WHERE id = ?`+s.db.dialect().forUpdate, []any{r.job}, &state); err != nil {
				return err
			}
			switch rivertype.JobState(state) {
			case rivertype.JobStateRetryable, rivertype.JobStateScheduled, rivertype.JobStateAvailable:
				if err := s.db.retry(ctx, tx, r.job); err != nil {
					return err
				}
				total++
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("retry jobs: %w", err)
	}
	return total, nil
}

// Requeue does pushes again that ended without the image in its place: as new
// jobs, with rows of their own in the ledger when they end. It returns how many
// it began, and how many it could not, since their jobs are not kept any more
// (see [Retention]): those take a new build.
func (s *Store) Requeue(ctx context.Context, selection Selection) (begun, gone int, err error) {
	err = s.selected(ctx, selection, badOnly, func(ctx context.Context, tx conn, rows []expectedRow) error {
		ids := make([]int64, len(rows))
		for i, r := range rows {
			ids[i] = r.job
		}
		old, err := s.db.jobs(ctx, tx, ids)
		if err != nil {
			return err
		}
		kept := make(map[int64]*rivertype.JobRow, len(old))
		for _, row := range old {
			kept[row.ID] = row
		}
		var list []Job
		var args []any
		for _, r := range rows {
			row, there := kept[r.job]
			if !there {
				gone++
				continue
			}
			job, err := decodeJob(row)
			if err != nil {
				return err
			}
			list = append(list, job)
			args = append(args, r.id)
		}
		if len(list) == 0 {
			return nil
		}
		numbers, err := s.db.insert(ctx, tx, list)
		if err != nil {
			return err
		}
		for i := range list {
			if _, err := tx.exec(ctx, `UPDATE expected SET job_id = ?, entry_id = NULL, outcome = '' WHERE id = ?`, numbers[i], args[i]); err != nil {
				return err
			}
		}
		begun += len(list)
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("requeue jobs: %w", err)
	}
	return begun, gone, nil
}

func decodeJob(row *rivertype.JobRow) (Job, error) {
	var args jobArgs
	if err := json.Unmarshal(row.EncodedArgs, &args); err != nil {
		return Job{}, fmt.Errorf("decode job %d: %w", row.ID, err)
	}
	return args.Job, nil
}

// cancelledEntry is the row of a job that was called off.
func cancelledEntry(job Job, attempts int) ledger.Entry {
	e := unworkedEntry(job)
	e.Outcome, e.Attempts = ledger.Cancelled, attempts
	return e
}

// unworkedEntry is what is known of a push without its worker.
func unworkedEntry(job Job) ledger.Entry {
	return ledger.Entry{
		Target: job.Target, Configuration: job.Configuration, Aspect: job.Aspect, SpecDigest: job.Spec.Digest(),
		BuildID: job.Build, InvocationID: job.Invocation, Client: job.Client,
	}
}

// underWay are the jobs that this process is working on.
type underWay struct {
	mu   sync.Mutex
	jobs map[int64]context.CancelCauseFunc
}

// begin gives a context that ends when the job is called off.
func (u *underWay) begin(ctx context.Context, job int64) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.jobs == nil {
		u.jobs = map[int64]context.CancelCauseFunc{}
	}
	u.jobs[job] = cancel
	return ctx, func() {
		cancel(nil)
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.jobs, job)
	}
}

func (u *underWay) cancel(jobs []int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, job := range jobs {
		if cancel, here := u.jobs[job]; here {
			cancel(rivertype.ErrJobCancelledRemotely)
		}
	}
}
