package store

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// Absent is a target of which no push spec has come, or not all.
type Absent struct {
	Target, Configuration, Aspect string
	// State is awaited, unbuilt, incomplete, aborted or lost; or empty, which ends the
	// wait for the target. Every state but awaited ends it.
	State ledger.ExpectedState
	// Reason is a text for people, and may be empty.
	Reason string
	// IfPushed says that the target counts only if the ledger has a push of it: what the
	// stream says does not tell.
	IfPushed bool
}

// Expected is everything that an invocation asked for, or would have: its push
// specs, with what became of them, and the targets of which none came.
func (s *Store) Expected(ctx context.Context, invocation string) ([]ledger.Expected, error) {
	list := []ledger.Expected{}
	id := []any{sqldb.CleanText(invocation)}
	err := s.db.Read().Query(ctx, `SELECT target, configuration, aspect, spec_digest, found, COALESCE(job_id, 0), outcome, COALESCE(entry_id, 0)
		FROM expected WHERE invocation_id = ? ORDER BY target, spec_digest`, id,
		func(scan sqldb.Scan) error {
			e := ledger.Expected{State: ledger.ExpectedPending}
			var found int64
			if err := scan(&e.Target, &e.Configuration, &e.Aspect, &e.SpecDigest, &found, &e.Job, &e.Outcome, &e.Entry); err != nil {
				return err
			}
			if e.Entry != 0 {
				e.State = ledger.ExpectedEnded
			}
			e.Found = sqldb.FromMicros(found)
			list = append(list, e)
			return nil
		})
	if err == nil {
		err = s.db.Read().Query(ctx, `SELECT target, configuration, aspect, state, reason FROM absent WHERE invocation_id = ?
			ORDER BY target, configuration, aspect, state`, id,
			func(scan sqldb.Scan) error {
				var e ledger.Expected
				if err := scan(&e.Target, &e.Configuration, &e.Aspect, &e.State, &e.Reason); err != nil {
					return err
				}
				list = append(list, e)
				return nil
			})
	}
	if err != nil {
		return nil, fmt.Errorf("read expected pushes of invocation %s: %w", invocation, err)
	}
	return list, nil
}

// Outcomes counts how the pushes of an invocation ended.
func (s *Store) Outcomes(ctx context.Context, invocation string) (map[ledger.Outcome]int, error) {
	counts := map[ledger.Outcome]int{}
	err := s.db.Read().Query(ctx, `SELECT outcome, COUNT(*) FROM expected WHERE invocation_id = ? AND entry_id IS NOT NULL GROUP BY outcome`,
		[]any{sqldb.CleanText(invocation)}, func(scan sqldb.Scan) error {
			var outcome ledger.Outcome
			var n int
			if err := scan(&outcome, &n); err != nil {
				return err
			}
			counts[outcome] = n
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("count outcomes of invocation %s: %w", invocation, err)
	}
	return counts, nil
}
