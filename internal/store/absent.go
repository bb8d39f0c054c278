package store

import (
	"context"
	"fmt"
	"maps"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// absentKey is a target in a configuration.
type absentKey struct{ target, configuration, aspect string }

// ends tells whether the end of a target is that of a wait for it: one without a
// configuration means all of the target's.
func (k absentKey) ends(wait absentKey) bool {
	return wait.target == k.target && wait.aspect == k.aspect &&
		(k.configuration == "" || wait.configuration == "" || wait.configuration == k.configuration)
}

// saveAbsent adds to the targets of which nothing came, and ends the waits that are over.
func saveAbsent(ctx context.Context, tx sqldb.Conn, invocation string, list []Absent) error {
	list, err := onlyPushed(ctx, tx, list)
	if err != nil || len(list) == 0 {
		return err
	}
	waits := map[absentKey]Absent{}
	var rows []Absent
	var over []absentKey
	for _, a := range list {
		a.Target, a.Configuration, a.Aspect = sqldb.CleanText(a.Target), sqldb.CleanText(a.Configuration), sqldb.CleanText(a.Aspect)
		key := absentKey{a.Target, a.Configuration, a.Aspect}
		if a.State == ledger.ExpectedAwaited {
			waits[key] = a
			continue
		}
		// A wait that has begun in this batch is not in the table yet.
		maps.DeleteFunc(waits, func(wait absentKey, _ Absent) bool { return key.ends(wait) })
		over = append(over, key)
		if a.State != "" {
			rows = append(rows, a)
		}
	}
	if err := endWaits(ctx, tx, invocation, over); err != nil {
		return err
	}
	for _, a := range waits {
		rows = append(rows, a)
	}
	var args []any
	for _, a := range rows {
		args = append(args, invocation, a.Target, a.Configuration, a.Aspect, string(a.State), sqldb.CleanText(a.Reason))
	}
	return sqldb.ExecMany(ctx, tx, sqldb.Insert{
		SQL:   `INSERT INTO absent (invocation_id, target, configuration, aspect, state, reason) VALUES `,
		Group: "(?,?,?,?,?,?)", Args: args,
		Tail: ` ON CONFLICT (invocation_id, target, configuration, aspect, state) DO NOTHING`,
	})
}

// onlyPushed leaves out what counts only if it was pushed once, and was not.
func onlyPushed(ctx context.Context, tx sqldb.Conn, list []Absent) ([]Absent, error) {
	var kept []Absent
	for _, a := range list {
		if a.IfPushed {
			pushed, err := sqldb.QueryRow(ctx, tx, `SELECT id FROM ledger_entry WHERE target = ? LIMIT 1`, []any{sqldb.CleanText(a.Target)}, new(int64))
			if err != nil {
				return nil, fmt.Errorf("look for pushes of target %s: %w", a.Target, err)
			}
			if !pushed {
				continue
			}
		}
		kept = append(kept, a)
	}
	return kept, nil
}

// endWaits removes the waits for targets; one without a configuration means all of the
// target's.
func endWaits(ctx context.Context, tx sqldb.Conn, invocation string, over []absentKey) error {
	for _, key := range over {
		where, args := `invocation_id = ? AND target = ? AND aspect = ? AND state = ?`, []any{invocation, key.target, key.aspect, string(ledger.ExpectedAwaited)}
		if key.configuration != "" {
			where += ` AND configuration IN (?, '')`
			args = append(args, key.configuration)
		}
		if _, err := tx.Exec(ctx, `DELETE FROM absent WHERE `+where, args...); err != nil {
			return fmt.Errorf("end the wait for target %s: %w", key.target, err)
		}
	}
	return nil
}

// Missing counts what an invocation was expected to push and will not: see
// [ledger.ExpectedState.Missing].
func (s *Store) Missing(ctx context.Context, invocation string) (int, error) {
	known, _, err := s.Invocation(ctx, invocation)
	if err != nil {
		return 0, err
	}
	n := 0
	err = s.db.Read().Query(ctx, `SELECT state, COUNT(*) FROM absent WHERE invocation_id = ? GROUP BY state`, []any{sqldb.CleanText(invocation)},
		func(scan sqldb.Scan) error {
			var state ledger.ExpectedState
			var rows int
			if err := scan(&state, &rows); err != nil {
				return err
			}
			if state.Missing(known.Over()) {
				n += rows
			}
			return nil
		})
	if err != nil {
		return 0, fmt.Errorf("count what is missing of invocation %s: %w", invocation, err)
	}
	return n, nil
}
