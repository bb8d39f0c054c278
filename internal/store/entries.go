package store

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/drayage/drayage/internal/ledger"
)

// Entries are the rows that query asks for, newest first. The next page is that
// of the same query with Before set to the last row's ID; rows that are written
// in between do not shift it.
func (s *Store) Entries(ctx context.Context, query ledger.Query) ([]ledger.Entry, error) {
	if err := query.Check(); err != nil {
		return nil, fmt.Errorf("query ledger: %w", err)
	}
	entries := []ledger.Entry{}
	sql, args := selectEntries(query)
	err := s.db.read().query(ctx, sql, args, func(scan func(...any) error) error {
		var id int64
		var body []byte
		var exitCode *string
		if err := scan(&id, &body, &exitCode); err != nil {
			return err
		}
		e, err := ledger.Decode(body)
		if err != nil {
			return fmt.Errorf("row %d: %w", id, err)
		}
		e.ID = id
		if e.ExitCode == "" && exitCode != nil {
			e.ExitCode = *exitCode
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("query ledger: %w", err)
	}
	return entries, nil
}

// selectEntries writes the statement for a query. It is put together from what
// the query asks for, and not one statement with a condition for each field,
// since a database chooses its index before it knows which fields are empty.
//
// Each field has an index that ends in (time, id), so that a page is read off
// the index in order, and never sorted.
func selectEntries(q ledger.Query) (string, []any) {
	// The narrowest filter leads: it gives the order.
	from, at, id := `ledger_entry e`, `e.time`, `e.id`
	var where []string
	var args []any
	and := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if q.Tag != "" {
		// CROSS JOIN is an order to SQLite: left before right.
		from, at, id = `ledger_tag t CROSS JOIN ledger_entry e`, `t.time`, `t.entry_id`
		and(`e.id = t.entry_id`)
		and(`t.tag = ?`, q.Tag)
		if q.Repository != "" {
			and(`t.repository = ?`, q.Repository)
		}
		if q.Registry != "" {
			and(`t.registry = ?`, q.Registry)
		}
	}
	if q.Digest != "" {
		if q.Tag == "" {
			from, at, id = `ledger_digest d CROSS JOIN ledger_entry e`, `d.time`, `d.entry_id`
			and(`e.id = d.entry_id`)
			and(`d.digest = ?`, q.Digest)
		} else {
			and(`EXISTS (SELECT 1 FROM ledger_digest d WHERE d.digest = ? AND d.time = t.time AND d.entry_id = t.entry_id)`, q.Digest)
		}
	}
	for _, filter := range []struct{ column, value string }{
		{`e.registry`, q.Registry},
		{`e.repository`, q.Repository},
		{`e.target`, q.Target},
		{`e.invocation_id`, q.Invocation},
		{`e.commit_id`, q.Commit},
		{`e.outcome`, string(q.Outcome)},
	} {
		if filter.value != "" {
			and(filter.column+` = ?`, filter.value)
		}
	}
	if !q.Since.IsZero() {
		and(at+` >= ?`, micros(q.Since))
	}
	if !q.Until.IsZero() {
		and(at+` < ?`, micros(q.Until))
	}
	if q.Before > 0 {
		// A row that is not there pages from nowhere, so to nothing.
		and(`(`+at+`, `+id+`) < ((SELECT time FROM ledger_entry WHERE id = ?), ?)`, q.Before, q.Before)
	}
	sql := `SELECT e.id, e.body, i.exit_code FROM ` + from + ` LEFT JOIN invocation i ON i.id = e.invocation_id`
	if len(where) > 0 {
		sql += ` WHERE ` + strings.Join(where, ` AND `)
	}
	sql += ` ORDER BY ` + at + ` DESC, ` + id + ` DESC LIMIT CAST(? AS BIGINT)`
	return sql, append(args, cmp.Or(q.Limit, ledger.DefaultLimit))
}
