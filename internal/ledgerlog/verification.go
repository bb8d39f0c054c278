package ledgerlog

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// verification is one reading of the whole ledger.
type verification struct {
	conn   sqldb.Conn
	keys   []string
	report Report

	size int64
	// expected are the roots that checkpoints say, by size.
	expected map[int64][]tlog.Hash
	// agreed is the size of the last checkpoint that was right.
	agreed int64
	// broken says that a row was found to be wrong since.
	broken bool
	// right holds the roots of the complete subtrees at the right edge, the
	// largest first, computed from the rows alone.
	right []subtree
}

func (v *verification) problemf(entry, index int64, format string, args ...any) {
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, Problem{Entry: entry, Index: index, text: fmt.Sprintf(format, args...)})
	}
}

func (v *verification) readKeys(ctx context.Context) error {
	if len(v.keys) > 0 {
		return nil
	}
	return v.conn.Query(ctx, `SELECT verifier FROM log_key ORDER BY added`, nil, func(scan sqldb.Scan) error {
		var key string
		if err := scan(&key); err != nil {
			return err
		}
		v.keys = append(v.keys, key)
		return nil
	})
}

// readCheckpoints reads the log's own checkpoints. The latest says how far the
// log goes: what is sealed while this runs is the next run's.
func (v *verification) readCheckpoints(ctx context.Context) error {
	v.expected = map[int64][]tlog.Hash{}
	if _, err := sqldb.QueryRow(ctx, v.conn, `SELECT size FROM log_state WHERE id = 1`, nil, &v.size); err != nil {
		return err
	}
	signed := v.size == 0
	err := v.conn.Query(ctx, `SELECT size, signed FROM log_checkpoint WHERE size <= ? ORDER BY size`, []any{v.size}, func(scan sqldb.Scan) error {
		var size int64
		var text []byte
		if err := scan(&size, &text); err != nil {
			return err
		}
		c, err := ledger.OpenCheckpoint(text, v.keys)
		switch {
		case err != nil:
			v.problemf(-1, -1, "the checkpoint at %d rows: %v", size, err)
		case c.Size != size:
			v.problemf(-1, -1, "the checkpoint stored for %d rows was signed for %d rows", size, c.Size)
		default:
			signed = signed || size == v.size
			v.expect(c)
		}
		return nil
	})
	if err == nil && !signed {
		v.problemf(-1, -1, "the log has %d rows, and no valid checkpoint of that size", v.size)
	}
	return err
}

func (v *verification) addCheckpoints(given [][]byte) error {
	for i, text := range given {
		c, err := ledger.OpenCheckpoint(text, v.keys)
		switch {
		case err != nil:
			return fmt.Errorf("given checkpoint %d: %w", i+1, err)
		case c.Size > v.size:
			v.problemf(-1, -1, "a checkpoint that was kept elsewhere covers %d rows, and the log has only %d: rows were removed from its end", c.Size, v.size)
		default:
			v.expect(c)
		}
	}
	return nil
}

func (v *verification) expect(c ledger.Checkpoint) {
	v.report.Checkpoints++
	v.expected[c.Size] = append(v.expected[c.Size], c.Root)
}

// checkLog goes through the log from its first row to its last.
func (v *verification) checkLog(ctx context.Context) error {
	for first := int64(0); first < v.size; first += verifyPage {
		last := min(first+verifyPage, v.size)
		stored, err := v.storedHashes(ctx, first, last)
		if err != nil {
			return err
		}
		rows, err := v.rows(ctx, first, last)
		if err != nil {
			return err
		}
		for index := first; index < last; index++ {
			v.checkRow(index, rows[index], stored)
		}
		if err := v.checkFinders(ctx, rows); err != nil {
			return err
		}
		if err := v.checkMetadata(ctx, rows); err != nil {
			return err
		}
	}
	v.report.Rows, v.report.Root = v.size, v.root()
	return nil
}

// sealedRow is a row as the tables have it.
type sealedRow struct {
	there bool // the log knows which row it is
	id    int64
	body  []byte // nil: the row is gone
	// columns are the copies that are searched by.
	job                                                       int64
	time                                                      int64
	outcome, registry, repository, target, invocation, commit string
}

func (v *verification) rows(ctx context.Context, first, last int64) (map[int64]sealedRow, error) {
	rows := make(map[int64]sealedRow, last-first)
	err := v.conn.Query(ctx, `SELECT l.idx, l.entry_id, e.body, COALESCE(e.job_id, 0), COALESCE(e.time, 0), COALESCE(e.outcome, ''), COALESCE(e.registry, ''),
			COALESCE(e.repository, ''), COALESCE(e.target, ''), COALESCE(e.invocation_id, ''), COALESCE(e.commit_id, '')
		FROM log_leaf l LEFT JOIN ledger_entry e ON e.id = l.entry_id WHERE l.idx >= ? AND l.idx < ?`, []any{first, last},
		func(scan sqldb.Scan) error {
			var index int64
			r := sealedRow{there: true}
			if err := scan(&index, &r.id, &r.body, &r.job, &r.time, &r.outcome, &r.registry, &r.repository, &r.target, &r.invocation, &r.commit); err != nil {
				return err
			}
			rows[index] = r
			return nil
		})
	return rows, err
}

func (v *verification) storedHashes(ctx context.Context, first, last int64) (map[int64]tlog.Hash, error) {
	stored := make(map[int64]tlog.Hash, 2*(last-first))
	err := v.conn.Query(ctx, `SELECT idx, hash FROM log_hash WHERE idx >= ? AND idx < ?`,
		[]any{tlog.StoredHashIndex(0, first), tlog.StoredHashIndex(0, last)},
		func(scan sqldb.Scan) error {
			var index int64
			var hash []byte
			if err := scan(&index, &hash); err != nil {
				return err
			}
			if len(hash) == tlog.HashSize {
				stored[index] = tlog.Hash(hash)
			}
			return nil
		})
	return stored, err
}

// checkRow checks one row and takes it into the computed tree. Where the row is
// wrong, the hash that the log has of it goes into the tree, so that one wrong
// row does not make all that follows look wrong.
func (v *verification) checkRow(index int64, row sealedRow, stored map[int64]tlog.Hash) {
	at := tlog.StoredHashIndex(0, index)
	kept, haveKept := stored[at]
	leaf := kept
	switch {
	case !row.there:
		v.problemf(-1, index, "the log no longer says which row it is")
		v.broken = true
	case row.body == nil:
		v.problemf(row.id, index, "it was deleted")
		v.broken = true
	case haveKept && tlog.RecordHash(row.body) != kept:
		v.problemf(row.id, index, "it was changed after it was sealed")
		v.broken = true
	default:
		leaf = tlog.RecordHash(row.body)
		if !haveKept {
			v.problemf(row.id, index, "the log's hash of it is missing")
		}
		v.checkColumns(index, row)
	}
	v.grow(leaf, at, index, stored)
	v.checkRoots(index + 1)
}

// checkColumns checks what a row is found by against what it says.
func (v *verification) checkColumns(index int64, row sealedRow) {
	e, err := ledger.Decode(row.body)
	if err != nil {
		v.problemf(row.id, index, "it cannot be read: %v", err)
		return
	}
	for _, c := range []struct {
		name        string
		found, said any
	}{
		{"job", row.job, e.Job}, {"time", row.time, sqldb.Micros(e.Time)}, {"outcome", row.outcome, string(e.Outcome)},
		{"registry", row.registry, e.Registry}, {"repository", row.repository, e.Repository}, {"target", row.target, e.Target},
		{"invocation", row.invocation, e.InvocationID}, {"commit", row.commit, e.Commit},
	} {
		if c.found != c.said {
			v.problemf(row.id, index, "its %s is %v, but a search finds it as %v: the search columns were changed", c.name, c.said, c.found)
		}
	}
}
