package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/ledgerlog"
	"github.com/drayage/drayage/internal/sqldb"
)

// Entries are the rows that query asks for, newest first. The next page is that
// of the same query with Before set to the last row's ID; rows that are written
// in between do not shift it. A digest or a commit may be given by its beginning,
// of six digits at least.
func (s *Store) Entries(ctx context.Context, query ledger.Query) ([]ledger.Entry, error) {
	if err := query.Check(); err != nil {
		return nil, fmt.Errorf("query ledger: %w", err)
	}
	query, err := s.expand(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("query ledger: %w", err)
	}
	entries := []ledger.Entry{}
	sql, args := selectEntries(query)
	err = s.db.Read().Query(ctx, sql, args, func(scan sqldb.Scan) error {
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
	if err == nil {
		err = attachMetadata(ctx, s.db.Read(), entries)
	}
	if err != nil {
		return nil, fmt.Errorf("query ledger: %w", err)
	}
	return entries, nil
}

// attachMetadata gives rows the metadata that is kept beside them.
func attachMetadata(ctx context.Context, c sqldb.Conn, entries []ledger.Entry) error {
	pointers := make([]*ledger.Entry, len(entries))
	for i := range entries {
		pointers[i] = &entries[i]
	}
	return ledgerlog.AttachMetadata(ctx, c, pointers...)
}

// minPrefix is how much of a digest's digits or of a commit is enough to go by.
const minPrefix = 6

// expand completes a digest or commit of which only the beginning was given, as
// people copy it from a table. A beginning of several is a
// [*ledger.AmbiguousError].
func (s *Store) expand(ctx context.Context, q ledger.Query) (ledger.Query, error) {
	var err error
	if q.Digest, err = s.wholeDigest(ctx, q.Digest); err != nil {
		return q, err
	}
	q.Commit, err = s.whole(ctx, "commit", "ledger_entry", "commit_id", q.Commit, len(q.Commit))
	return q, err
}

// wholeDigest is the digest in the ledger that begins as given. SHA-256 need not
// be named.
func (s *Store) wholeDigest(ctx context.Context, given string) (string, error) {
	if given != "" && !strings.Contains(given, ":") {
		given = "sha256:" + given
	}
	_, digits, _ := strings.Cut(given, ":")
	return s.whole(ctx, "digest", "ledger_digest", "digest", given, len(digits))
}

// whole is the one value of a column that begins as given, or what was given
// where there is none, or too little to go by.
func (s *Store) whole(ctx context.Context, name, table, column, given string, digits int) (string, error) {
	if digits < minPrefix {
		return given, nil
	}
	// Each on its own is read off the ends of the index; together they are not.
	within := ` FROM ` + table + ` WHERE ` + column + ` >= ? AND ` + column + ` < ?`
	var first, last *string
	_, err := sqldb.QueryRow(ctx, s.db.Read(), `SELECT (SELECT MIN(`+column+`)`+within+`), (SELECT MAX(`+column+`)`+within+`)`,
		[]any{given, given + "~", given, given + "~"}, &first, &last)
	switch {
	case err != nil:
		return "", err
	case first == nil || *first == given:
		return given, nil
	case *first != *last:
		return "", &ledger.AmbiguousError{Field: name, Given: given, First: *first, Last: *last}
	}
	return *first, nil
}

// selectEntries writes the statement for a query. It is put together from what
// the query asks for, and not one statement with a condition for each field,
// since a database chooses its index before it knows which fields are empty.
//
// Each field has an index that ends in (time, id), so that a page is read off
// the index in order, and never sorted.
func selectEntries(q ledger.Query) (string, []any) {
	limit := cmp.Or(q.Limit, ledger.DefaultLimit)
	entry := newSelection(`e.time`, `e.id`)
	entry.equal(`e.registry`, q.Registry)
	entry.equal(`e.repository`, q.Repository)
	entry.equal(`e.target`, q.Target)
	entry.equal(`e.invocation_id`, q.Invocation)
	entry.equal(`e.commit_id`, q.Commit)
	entry.equal(`e.outcome`, string(q.Outcome))
	beyond := q.Target != "" || q.Invocation != "" || q.Commit != "" || q.Outcome != ""

	from, lead := `ledger_entry e`, entry
	switch {
	case q.Tag != "":
		finder := newSelection(`f.time`, `f.entry_id`)
		finder.equal(`f.tag`, q.Tag)
		finder.equal(`f.repository`, q.Repository)
		finder.equal(`f.registry`, q.Registry)
		if q.Digest != "" {
			finder.and(`EXISTS (SELECT 1 FROM ledger_digest d WHERE d.digest = ? AND d.time = f.time AND d.entry_id = f.entry_id)`, q.Digest)
		}
		finder.span(q)
		from, lead = finder.from(`ledger_tag f`, !beyond, limit), finder
	case q.Digest != "":
		finder := newSelection(`f.time`, `f.entry_id`)
		finder.equal(`f.digest`, q.Digest)
		finder.span(q)
		from, lead = finder.from(`ledger_digest f`, !beyond && q.Registry == "" && q.Repository == "", limit), finder
	default:
		entry.span(q)
	}
	args := entry.args
	if lead != entry {
		args = slices.Concat(lead.args, entry.args)
	}
	sql := `SELECT e.id, e.body, i.exit_code FROM ` + from + ` LEFT JOIN invocation i ON i.id = e.invocation_id` + entry.where() +
		lead.order() + ` LIMIT CAST(? AS BIGINT)`
	return sql, append(args, limit)
}

// selection is the part of a statement that says which rows, and in which order.
type selection struct {
	time, id   string // the columns
	conditions []string
	args       []any
}

func newSelection(time, id string) *selection { return &selection{time: time, id: id} }

func (s *selection) and(condition string, args ...any) {
	s.conditions = append(s.conditions, condition)
	s.args = append(s.args, args...)
}

func (s *selection) equal(column, value string) {
	if value != "" {
		s.and(column+` = ?`, value)
	}
}

// span bounds the time, and leaves out the pages before.
func (s *selection) span(q ledger.Query) {
	if !q.Since.IsZero() {
		s.and(s.time+` >= ?`, sqldb.Micros(q.Since))
	}
	if !q.Until.IsZero() {
		s.and(s.time+` < ?`, sqldb.Micros(q.Until))
	}
	if q.Before > 0 {
		// A row that is not there pages from nowhere, so to nothing.
		s.and(`(`+s.time+`, `+s.id+`) < ((SELECT time FROM ledger_entry WHERE id = ?), ?)`, q.Before, q.Before)
	}
}

func (s *selection) where() string {
	if len(s.conditions) == 0 {
		return ``
	}
	return ` WHERE ` + strings.Join(s.conditions, ` AND `)
}

func (s *selection) order() string { return ` ORDER BY ` + s.time + ` DESC, ` + s.id + ` DESC` }

// from finds rows by a table beside the ledger, which decides alone if nothing
// else is asked for: then no more rows are fetched than are wanted, which left to
// itself PostgreSQL does not see.
func (s *selection) from(table string, alone bool, limit int) string {
	finder := `SELECT time, entry_id FROM ` + table + s.where()
	if alone {
		finder += s.order() + ` LIMIT CAST(? AS BIGINT)`
		s.args = append(s.args, limit)
	}
	return `(` + finder + `) f JOIN ledger_entry e ON e.id = f.entry_id`
}

// Entry is one row of the ledger, by its number; false where there is none.
func (s *Store) Entry(ctx context.Context, id int64) (ledger.Entry, bool, error) {
	rows, err := s.readEntries(ctx, s.db.Read(), []int64{id})
	if err != nil {
		return ledger.Entry{}, false, fmt.Errorf("read row %d of the ledger: %w", id, err)
	}
	e, found := rows[id]
	return e, found, nil
}

// readEntries reads rows by their numbers.
func (s *Store) readEntries(ctx context.Context, c sqldb.Conn, ids []int64) (map[int64]ledger.Entry, error) {
	rows := make(map[int64]ledger.Entry, len(ids))
	for piece := range slices.Chunk(ids, maxRead) {
		args := make([]any, len(piece))
		for i, id := range piece {
			args[i] = id
		}
		var entries []ledger.Entry
		err := c.Query(ctx, `SELECT id, body FROM ledger_entry WHERE id IN (`+sqldb.Values(len(args), "?")+`)`, args, func(scan sqldb.Scan) error {
			var id int64
			var body []byte
			if err := scan(&id, &body); err != nil {
				return err
			}
			e, err := ledger.Decode(body)
			if err != nil {
				return fmt.Errorf("row %d: %w", id, err)
			}
			e.ID = id
			entries = append(entries, e)
			return nil
		})
		if err == nil {
			err = attachMetadata(ctx, c, entries)
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			rows[e.ID] = e
		}
	}
	return rows, nil
}

// maxRead bounds the rows that one statement reads by number.
const maxRead = 500

// HasImage tells whether a repository is known to have got an image, under whatever tags
// or none: by the digest of its root, or of a manifest below it.
func (s *Store) HasImage(ctx context.Context, registry, repository, digest string) (bool, error) {
	there := slices.DeleteFunc(ledger.Outcomes(), func(o ledger.Outcome) bool { return !o.Arrived() })
	found, err := sqldb.QueryRow(ctx, s.db.Read(), `SELECT e.id FROM ledger_digest d JOIN ledger_entry e ON e.id = d.entry_id
		WHERE d.digest = ? AND e.registry = ? AND e.repository = ? AND e.outcome IN (`+quoted(there)+`) LIMIT 1`,
		[]any{digest, registry, repository}, new(int64))
	if err != nil {
		return false, fmt.Errorf("look for %s in %s/%s: %w", digest, registry, repository, err)
	}
	return found, nil
}
