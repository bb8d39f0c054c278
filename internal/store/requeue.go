package store

import (
	"context"
	"fmt"

	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/sqldb"
)

// RetryNow makes jobs that wait for their next attempt available at once, and
// returns how many there were.
func (s *Store) RetryNow(ctx context.Context, selection Selection) (int, error) {
	total := 0
	err := s.selected(ctx, selection, pendingOnly, func(ctx context.Context, tx sqldb.Conn, rows []expectedRow) error {
		for _, r := range rows {
			state := ""
			if _, err := sqldb.QueryRow(ctx, tx, `SELECT state FROM river_job WHERE id = ?`+s.db.Dialect().ForUpdate, []any{r.job}, &state); err != nil {
				return err
			}
			switch rivertype.JobState(state) {
			case rivertype.JobStateRetryable, rivertype.JobStateScheduled, rivertype.JobStateAvailable:
				if err := s.db.RetryJob(ctx, tx, r.job); err != nil {
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

// Requeue repeats what ended badly: pushes, and the tagging of staged images. What is
// withheld stays as it is; see [Store.Promote].
// Each becomes a new job, with a row of its own in the ledger when it ends. It
// returns how many it began, and how many are gone: their jobs are no longer kept
// (see [Retention]), so they need a new build.
func (s *Store) Requeue(ctx context.Context, selection Selection) (begun, gone int, err error) {
	err = s.selected(ctx, selection, endedBadly(), func(ctx context.Context, tx sqldb.Conn, rows []expectedRow) error {
		ids := make([]int64, len(rows))
		for i, r := range rows {
			ids[i] = r.job
		}
		old, err := s.db.Jobs(ctx, tx, ids)
		if err != nil {
			return err
		}
		kept := make(map[int64]*rivertype.JobRow, len(old))
		for _, row := range old {
			kept[row.ID] = row
		}
		var list []Job
		var again []int64
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
			again = append(again, r.id)
		}
		begun += len(list)
		return s.repeat(ctx, tx, again, list)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("requeue jobs: %w", err)
	}
	return begun, gone, nil
}
