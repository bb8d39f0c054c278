package sqldb

import (
	"context"
	"slices"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// riverTime is how River writes times in SQLite.
const riverTime = "2006-01-02 15:04:05.000"

// completeJobs ends jobs of an SQLite file, all with one statement, and returns the states
// that are left to set. River has one for each job there, of which SQLite makes less than
// three thousand a second.
func completeJobs(ctx context.Context, tx Conn, states []*riverdriver.JobSetStateIfRunningParams, now time.Time) (left []*riverdriver.JobSetStateIfRunningParams, err error) {
	args := []any{now.UTC().Round(time.Millisecond).Format(riverTime)}
	for _, p := range states {
		if p.State == rivertype.JobStateCompleted && p.Attempt == nil && p.ErrData == nil && !p.MetadataDoMerge && p.ScheduledAt == nil {
			args = append(args, p.ID)
		} else {
			left = append(left, p)
		}
	}
	for ids := range slices.Chunk(args[1:], maxCompleted) {
		_, err = tx.Exec(ctx, `UPDATE river_job SET state = 'completed', finalized_at = ? WHERE state = 'running' AND id IN (`+Values(len(ids), "?")+`)`,
			append(args[:1:1], ids...)...)
		if err != nil {
			return nil, err
		}
	}
	return left, nil
}

// maxCompleted bounds the jobs of one statement.
const maxCompleted = 500
