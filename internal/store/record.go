package store

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// record writes rows, posts events about them, and notes which expected pushes
// have ended.
func (s *Store) record(ctx context.Context, tx sqldb.Conn, entries []ledger.Entry) error {
	written, err := s.log.Append(ctx, tx, entries)
	if err != nil {
		return err
	}
	var outcomes []any
	for _, e := range written {
		outcomes = append(outcomes, e.Job, string(e.Outcome), e.ID)
	}
	err = sqldb.ExecMany(ctx, tx, sqldb.Insert{
		SQL:   `WITH ended (job_id, outcome, entry_id) AS (VALUES `,
		Group: "(CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT))", Args: outcomes,
		Tail: `) UPDATE expected SET outcome = ended.outcome, entry_id = ended.entry_id FROM ended WHERE expected.job_id = ended.job_id`,
	})
	if err != nil {
		return fmt.Errorf("note which pushes have ended: %w", err)
	}
	return s.outbox.Post(ctx, tx, written)
}
