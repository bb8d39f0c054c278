package store

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/sqldb"
)

// forgottenAfter is how long a job may be this daemon's in the database while it is not
// under way here: it begins within moments.
const forgottenAfter = 5 * time.Second

// giveBackForgotten gives back the jobs that the database gave to this daemon in an answer
// that never came, because the connection broke: nobody works on them, and nobody takes
// them from a daemon that lives. Seen says when each was first found so; it returns what
// to hand in the next time.
func (s *Store) giveBackForgotten(ctx context.Context, seen map[runID]time.Time) (map[runID]time.Time, error) {
	now := time.Now()
	still := map[runID]time.Time{}
	var forgotten []runID
	err := s.db.Read().Query(ctx, `SELECT id, attempt FROM river_job WHERE state = '`+string(rivertype.JobStateRunning)+`' AND `+s.db.Dialect().TakenBy,
		[]any{s.name}, func(scan sqldb.Scan) error {
			var id runID
			if err := scan(&id.job, &id.run); err != nil || s.underWay.has(id) {
				return err
			}
			still[id] = now
			if first, before := seen[id]; before {
				still[id] = first
				if now.Sub(first) >= forgottenAfter {
					forgotten = append(forgotten, id)
				}
			}
			return nil
		})
	if err != nil {
		return seen, fmt.Errorf("look for jobs that were lost on their way: %w", err)
	}
	if len(forgotten) == 0 {
		return still, nil
	}
	var n int64
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		n = 0
		for _, id := range forgotten {
			changed, err := tx.Exec(ctx, `UPDATE river_job SET state = '`+string(rivertype.JobStateAvailable)+`'
				WHERE id = ? AND attempt = ? AND state = '`+string(rivertype.JobStateRunning)+`'`, id.job, id.run)
			if err != nil {
				return err
			}
			n += changed
		}
		return nil
	})
	if err != nil {
		return still, fmt.Errorf("give back jobs that were lost on their way: %w", err)
	}
	s.logger.Info().Int64("jobs", n).Msg("jobs that were lost on their way from the database are done again")
	return still, nil
}
