package store

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/sqldb"
)

// JobState is what a job that has not ended is doing.
type JobState string

// The states.
const (
	JobWaiting  JobState = "waiting"  // for a worker
	JobRunning  JobState = "running"  //
	JobRetrying JobState = "retrying" // failed, and waits for its next attempt
	JobLater    JobState = "later"    // postponed
)

// JobStatus is a job that has not ended.
type JobStatus struct {
	ID    int64    `json:"id"`
	State JobState `json:"state"`
	Job   Job      `json:"job"`
	// Since is when the job was found, Next when it is due if it waits.
	Since time.Time `json:"since"`
	Next  time.Time `json:"next,omitzero"`
	// Failures counts the attempts that failed; Error is what the last of them
	// said.
	Failures int    `json:"failures,omitzero"`
	Error    string `json:"error,omitzero"`
	// Daemon is the one that works, or worked last, on the job.
	Daemon string `json:"daemon,omitzero"`
}

// maxJobs bounds a page of [Store.Jobs].
const maxJobs = 1000

// Jobs lists jobs that have not ended, in the order in which they were found:
// those of an invocation, or, with an empty one, all. The next page is that after
// the last one's ID.
func (s *Store) Jobs(ctx context.Context, invocation string, after int64, limit int) ([]JobStatus, error) {
	limit = min(max(limit, 1), maxJobs)
	where, args := `x.job_id IS NOT NULL AND x.entry_id IS NULL AND x.job_id > ?`, []any{after}
	if invocation != "" {
		where += ` AND x.invocation_id = ?`
		args = append(args, sqldb.CleanText(invocation))
	}
	var ids []int64
	err := s.db.Read().Query(ctx, `SELECT x.job_id FROM expected x WHERE `+where+fmt.Sprintf(` ORDER BY x.job_id LIMIT %d`, limit), args,
		func(scan sqldb.Scan) error {
			var id int64
			if err := scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	list := []JobStatus{}
	if len(ids) == 0 {
		return list, nil
	}
	rows, err := s.db.Jobs(ctx, nil, ids)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	for _, row := range rows {
		job, err := decodeJob(row)
		if err != nil {
			return nil, fmt.Errorf("list jobs: %w", err)
		}
		status := JobStatus{ID: row.ID, Job: job, Since: row.CreatedAt.UTC(), Failures: len(row.Errors)}
		if n := len(row.Errors); n > 0 {
			status.Error = row.Errors[n-1].Error
		}
		if n := len(row.AttemptedBy); n > 0 {
			status.Daemon = row.AttemptedBy[n-1]
		}
		switch row.State {
		case rivertype.JobStateRunning:
			status.State = JobRunning
		case rivertype.JobStateRetryable:
			status.State, status.Next = JobRetrying, row.ScheduledAt.UTC()
		case rivertype.JobStateScheduled:
			status.State, status.Next = JobLater, row.ScheduledAt.UTC()
		default:
			status.State = JobWaiting
			if row.ScheduledAt.After(s.now()) {
				status.State, status.Next = JobRetrying, row.ScheduledAt.UTC()
			}
		}
		list = append(list, status)
	}
	return list, nil
}

// Backlog counts the jobs that have not ended.
func (s *Store) Backlog(ctx context.Context) (int, error) {
	var n int
	if _, err := sqldb.QueryRow(ctx, s.db.Read(), `SELECT COUNT(*) FROM expected WHERE job_id IS NOT NULL AND entry_id IS NULL`, nil, &n); err != nil {
		return 0, fmt.Errorf("count jobs: %w", err)
	}
	return n, nil
}
