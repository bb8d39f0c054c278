package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// controlSize bounds the jobs that one transaction acts on.
const controlSize = 100

// Selection says which jobs are meant. All fields that are set must hold, and one
// must be set.
type Selection struct {
	Job        int64
	Invocation string
	Target     string
	// All means every job; it cannot be meant by leaving the others empty.
	All bool
}

func (s Selection) where() (string, []any, error) {
	if s == (Selection{}) {
		return "", nil, errors.New("nothing is selected: name a job, an invocation or a target, or say all")
	}
	where, args := `x.job_id IS NOT NULL`, []any{}
	for _, filter := range []struct {
		condition string
		value     any
		set       bool
	}{
		{`x.job_id = ?`, s.Job, s.Job != 0},
		{`x.invocation_id = ?`, sqldb.CleanText(s.Invocation), s.Invocation != ""},
		{`x.target = ?`, sqldb.CleanText(s.Target), s.Target != ""},
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
func (s *Store) selected(ctx context.Context, selection Selection, condition string, act func(ctx context.Context, tx sqldb.Conn, rows []expectedRow) error) error {
	where, args, err := selection.where()
	if err != nil {
		return err
	}
	for after := int64(0); ; {
		var rows []expectedRow
		err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
			rows = rows[:0]
			err := tx.Query(ctx, `SELECT x.id, x.job_id FROM expected x WHERE x.id > ? AND `+where+` AND `+condition+
				fmt.Sprintf(` ORDER BY x.id LIMIT %d`, controlSize)+s.db.Dialect().ForUpdate, append([]any{after}, args...),
				func(scan sqldb.Scan) error {
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
			return err
		}
		if len(rows) < controlSize {
			return nil
		}
		after = rows[len(rows)-1].id
	}
}

// pendingOnly selects what has not ended.
const pendingOnly = `x.entry_id IS NULL`

// endedBadly selects what ended badly, and may end better if it is repeated. What is
// withheld is not: promotion is for that.
func endedBadly() string {
	var bad []ledger.Outcome
	for _, outcome := range ledger.Outcomes() {
		if outcome.Bad() && outcome != ledger.Withheld {
			bad = append(bad, outcome)
		}
	}
	return `x.entry_id IS NOT NULL AND x.outcome IN (` + quoted(bad) + `)`
}

// quoted writes outcomes as a list of SQL.
func quoted(outcomes []ledger.Outcome) string {
	list := make([]string, len(outcomes))
	for i, outcome := range outcomes {
		list[i] = `'` + string(outcome) + `'`
	}
	return strings.Join(list, `, `)
}
