package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// Rollback puts the tags that an invocation has moved back to what they pointed to before,
// gated or not, and withholds those that have not moved. It returns how many pushes it
// rolls back; what is being written meanwhile is rolled back when it has been.
//
// The error is [ErrUnknownInvocation], or a [*DecisionError] where there is nothing to
// roll back.
func (s *Store) Rollback(ctx context.Context, d Decision) (n int, err error) {
	d = d.clean()
	if d.Reason == "" {
		d.Reason = "it was rolled back"
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) (err error) {
		n, err = s.rollBack(ctx, tx, d)
		return err
	})
	if refused, ok := errors.AsType[*DecisionError](err); ok {
		return 0, refused
	}
	if err != nil {
		return 0, fmt.Errorf("roll back invocation %s: %w", d.Invocation, err)
	}
	s.changes.tell(d.Invocation)
	return n, nil
}

func (s *Store) rollBack(ctx context.Context, tx sqldb.Conn, d Decision) (int, error) {
	if err := s.checkKnown(ctx, tx, d.Invocation); err != nil {
		return 0, err
	}
	// A build without a gate has no release yet.
	made, err := tx.Exec(ctx, `INSERT INTO release (invocation_id, gate, state, staged, created) VALUES (?, ?, ?, 0, ?)
		ON CONFLICT (invocation_id) DO NOTHING`, d.Invocation, gatePushed, string(ReleaseOpen), sqldb.Micros(s.leaseTime()))
	if err != nil {
		return 0, err
	}
	r, _, err := s.lockRelease(ctx, tx, d.Invocation)
	if err != nil {
		return 0, err
	}
	var waiting int
	_, err = sqldb.QueryRow(ctx, tx, `SELECT COUNT(*) FROM expected WHERE invocation_id = ? AND job_id IS NOT NULL AND (entry_id IS NULL OR outcome = '`+string(ledger.Staged)+`')`,
		[]any{d.Invocation}, &waiting)
	if err != nil {
		return 0, err
	}
	before := r
	r.State, r.Class, r.Reason, r.By, r.Decided = ReleaseClosed, classRolledBack, d.Reason, d.By, s.now()
	if err := s.saveDecision(ctx, tx, r); err != nil {
		return 0, err
	}
	n, err := s.restore(ctx, tx, d.Invocation)
	if err != nil {
		return 0, err
	}
	if n == 0 && before.Class == classRolledBack {
		// What was left alone may be the build's again.
		if n, err = s.restoreAgain(ctx, tx, d.Invocation); err != nil {
			return 0, err
		}
	}
	if n == 0 && waiting == 0 {
		switch {
		case before.Class == classRolledBack:
			return 0, &DecisionError{"invocation " + d.Invocation + " has been rolled back"}
		case made == 0 && before.State == ReleaseClosed:
			return 0, &DecisionError{fmt.Sprintf("invocation %s has moved no tags: they are withheld, since %s", d.Invocation, before.Reason)}
		}
		return 0, &DecisionError{"invocation " + d.Invocation + " has moved no tags"}
	}
	return n, s.carryOut(ctx, tx, r, false)
}

// restoreAgain begins to put back tags that a rollback has put back, or left alone.
func (s *Store) restoreAgain(ctx context.Context, tx sqldb.Conn, invocation string) (int, error) {
	rows, err := s.endedAs(ctx, tx, invocation, []ledger.Outcome{ledger.RolledBack})
	if err != nil {
		return 0, err
	}
	return len(rows), s.begin(ctx, tx, ActionRestore, rows)
}
