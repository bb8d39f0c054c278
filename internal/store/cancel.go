package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// Cancel calls off jobs that have not ended. What waits ends at once with the
// outcome cancelled; what is under way hears its context end, and ends as
// cancelled unless it was done just before. It returns how many jobs it found.
func (s *Store) Cancel(ctx context.Context, selection Selection) (int, error) {
	total := 0
	var running []int64
	var ended []ledger.Entry
	err := s.selected(ctx, selection, pendingOnly, func(ctx context.Context, tx sqldb.Conn, rows []expectedRow) error {
		var entries []ledger.Entry
		for _, r := range rows {
			row, err := s.db.CancelJob(ctx, tx, r.job)
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
			entry := completed(cancelledEntry(job, len(row.Errors)), job, row.ID, s.now())
			if err := s.inherit(ctx, tx, entry, job); err != nil {
				return err
			}
			entries = append(entries, *entry)
		}
		ended = append(ended, entries...)
		if err := s.record(ctx, tx, entries); err != nil {
			return err
		}
		return s.decideOn(ctx, tx, entries)
	})
	if err != nil {
		return 0, fmt.Errorf("cancel jobs: %w", err)
	}
	s.announce(ended)
	// Another daemon's jobs are told by the database.
	s.underWay.cancel(running)
	return total, nil
}

// cancelledEntry is the row of a job that was called off.
func cancelledEntry(job Job, attempts int) ledger.Entry {
	e := unworkedEntry(job)
	e.Outcome, e.Attempts = ledger.Cancelled, attempts
	return e
}
