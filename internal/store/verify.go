package store

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/drayage/drayage/internal/ledger"
)

// verifyPage is how many rows are read at a time.
const verifyPage = 2000

// maxProblems bounds how many problems are named.
const maxProblems = 1000

// VerifyOptions say what a ledger is verified against.
type VerifyOptions struct {
	// Keys are the verifier keys that checkpoints may be signed with. Defaults to
	// those in the database, which somebody who may change the database may
	// change, too.
	Keys []string
	// Checkpoints are signed checkpoints that were kept elsewhere.
	Checkpoints [][]byte
}

// Report is what was found.
type Report struct {
	// Rows is the number of rows in the log, Waiting of those that are not in it
	// yet, Checkpoints of the checkpoints that were checked.
	Rows, Waiting, Checkpoints int64
	// Root is the hash over all rows.
	Root tlog.Hash
	// Problems are what is wrong, in the log's order; none means that the ledger
	// is what was written. Only the first thousand are kept.
	Problems []Problem
}

// Problem is something in the ledger that is not as it was written.
type Problem struct {
	// Entry is the row's ID, Index its place in the log; -1 where there is none.
	Entry, Index int64
	// Text says what is wrong with it.
	Text string
}

func (p Problem) String() string {
	switch {
	case p.Entry >= 0 && p.Index >= 0:
		return fmt.Sprintf("row %d (number %d of the log): %s", p.Entry, p.Index, p.Text)
	case p.Entry >= 0:
		return fmt.Sprintf("row %d: %s", p.Entry, p.Text)
	case p.Index >= 0:
		return fmt.Sprintf("number %d of the log: %s", p.Index, p.Text)
	}
	return p.Text
}

// Verify reads the whole ledger and checks each row against the log, the log
// against itself, and each checkpoint against both. What it finds wrong is in
// the report; the error says that it could not read.
func (s *Store) Verify(ctx context.Context, options VerifyOptions) (Report, error) {
	v := &verification{store: s, conn: s.db.read(), keys: options.Keys}
	for _, step := range []func(context.Context) error{
		v.readKeys,
		v.readCheckpoints,
		func(context.Context) error { return v.addCheckpoints(options.Checkpoints) },
		v.checkLog,
		v.checkStrays,
	} {
		if err := step(ctx); err != nil {
			return Report{}, fmt.Errorf("verify ledger: %w", err)
		}
	}
	return v.report, nil
}

type verification struct {
	store  *Store
	conn   conn
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

type subtree struct {
	level int
	hash  tlog.Hash
}

func (v *verification) problem(entry, index int64, format string, args ...any) {
	if len(v.report.Problems) < maxProblems {
		v.report.Problems = append(v.report.Problems, Problem{Entry: entry, Index: index, Text: fmt.Sprintf(format, args...)})
	}
}

func (v *verification) readKeys(ctx context.Context) error {
	if len(v.keys) > 0 {
		return nil
	}
	return v.conn.query(ctx, `SELECT verifier FROM log_key ORDER BY added`, nil, func(scan func(...any) error) error {
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
	if _, err := queryRow(ctx, v.conn, `SELECT size FROM log_state WHERE id = 1`, nil, &v.size); err != nil {
		return err
	}
	signed := v.size == 0
	err := v.conn.query(ctx, `SELECT size, signed FROM log_checkpoint WHERE size <= ? ORDER BY size`, []any{v.size}, func(scan func(...any) error) error {
		var size int64
		var text []byte
		if err := scan(&size, &text); err != nil {
			return err
		}
		c, err := ledger.OpenCheckpoint(text, v.keys)
		switch {
		case err != nil:
			v.problem(-1, -1, "the checkpoint at %d rows: %v", size, err)
		case c.Size != size:
			v.problem(-1, -1, "the checkpoint at %d rows is one of %d rows", size, c.Size)
		default:
			signed = signed || size == v.size
			v.expect(c)
		}
		return nil
	})
	if err == nil && !signed {
		v.problem(-1, -1, "the log has %d rows and no good checkpoint of that size", v.size)
	}
	return err
}

func (v *verification) addCheckpoints(given [][]byte) error {
	for i, text := range given {
		c, err := ledger.OpenCheckpoint(text, v.keys)
		switch {
		case err != nil:
			return fmt.Errorf("checkpoint %d of those given: %w", i+1, err)
		case c.Size > v.size:
			v.problem(-1, -1, "a checkpoint that was kept elsewhere has %d rows, and the log has %d: rows are gone from its end", c.Size, v.size)
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
	err := v.conn.query(ctx, `SELECT l.idx, l.entry_id, e.body, COALESCE(e.job_id, 0), COALESCE(e.time, 0), COALESCE(e.outcome, ''), COALESCE(e.registry, ''),
			COALESCE(e.repository, ''), COALESCE(e.target, ''), COALESCE(e.invocation_id, ''), COALESCE(e.commit_id, '')
		FROM log_leaf l LEFT JOIN ledger_entry e ON e.id = l.entry_id WHERE l.idx >= ? AND l.idx < ?`, []any{first, last},
		func(scan func(...any) error) error {
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
	err := v.conn.query(ctx, `SELECT idx, hash FROM log_hash WHERE idx >= ? AND idx < ?`,
		[]any{tlog.StoredHashIndex(0, first), tlog.StoredHashIndex(0, last)},
		func(scan func(...any) error) error {
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
		v.problem(-1, index, "the log does not say any more which row it is")
		v.broken = true
	case row.body == nil:
		v.problem(row.id, index, "it was deleted")
		v.broken = true
	case haveKept && tlog.RecordHash(row.body) != kept:
		v.problem(row.id, index, "it was changed after it was sealed")
		v.broken = true
	default:
		leaf = tlog.RecordHash(row.body)
		if !haveKept {
			v.problem(row.id, index, "the log's hash of it is gone")
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
		v.problem(row.id, index, "it cannot be read: %v", err)
		return
	}
	for _, c := range []struct {
		name        string
		found, said any
	}{
		{"job", row.job, e.Job}, {"time", row.time, micros(e.Time)}, {"outcome", row.outcome, string(e.Outcome)},
		{"registry", row.registry, e.Registry}, {"repository", row.repository, e.Repository}, {"target", row.target, e.Target},
		{"invocation", row.invocation, e.InvocationID}, {"commit", row.commit, e.Commit},
	} {
		if c.found != c.said {
			v.problem(row.id, index, "its %s is %v, and it is searched for as %v: the search columns were changed", c.name, c.said, c.found)
		}
	}
}

// grow adds a leaf to the computed tree and compares each subtree that it
// completes with the stored one.
func (v *verification) grow(leaf tlog.Hash, at, index int64, stored map[int64]tlog.Hash) {
	node := subtree{hash: leaf}
	for len(v.right) > 0 && v.right[len(v.right)-1].level == node.level {
		left := v.right[len(v.right)-1]
		v.right = v.right[:len(v.right)-1]
		node = subtree{level: node.level + 1, hash: tlog.NodeHash(left.hash, node.hash)}
		if kept, there := stored[at+int64(node.level)]; (!there || kept != node.hash) && !v.broken {
			v.problem(-1, index, "the log's hash over the %d rows up to here was changed", int64(1)<<node.level)
			v.broken = true
		}
	}
	v.right = append(v.right, node)
}

// root is the hash over the rows so far.
func (v *verification) root() tlog.Hash {
	if len(v.right) == 0 {
		empty, _ := tlog.TreeHash(0, nil) // of no rows; reads nothing
		return empty
	}
	root := v.right[len(v.right)-1].hash
	for _, left := range slices.Backward(v.right[:len(v.right)-1]) {
		root = tlog.NodeHash(left.hash, root)
	}
	return root
}

// checkRoots compares the tree over the first size rows with the checkpoints of
// that size.
func (v *verification) checkRoots(size int64) {
	roots, there := v.expected[size]
	if !there {
		return
	}
	root, right := v.root(), true
	for _, expected := range roots {
		right = right && expected == root
	}
	switch {
	case right:
		v.agreed, v.broken = size, false
	case !v.broken:
		// Once is enough: every later checkpoint is wrong for the same reason.
		v.problem(-1, -1, "the checkpoint at %d rows does not fit: rows %d to %d of the log were changed together with the log's hashes of them",
			size, v.agreed, size-1)
		v.broken = true
	}
}

// checkFinders checks that rows are found by all their digests and tags.
func (v *verification) checkFinders(ctx context.Context, rows map[int64]sealedRow) error {
	index := make(map[int64]int64, len(rows))
	var digests, tags []any
	for i, row := range rows {
		e, err := ledger.Decode(row.body)
		if err != nil {
			continue // has been said
		}
		index[row.id] = i
		for _, digest := range digestsOf(e) {
			digests = append(digests, digest, micros(e.Time), row.id)
		}
		for _, tag := range tagsOf(e) {
			tags = append(tags, tag, micros(e.Time), row.id)
		}
	}
	for _, check := range []struct {
		what, table, column string
		wanted              []any
	}{{"digests", "ledger_digest", "digest", digests}, {"tags", "ledger_tag", "tag", tags}} {
		for piece := range slices.Chunk(check.wanted, 3*2000) {
			sql := `WITH wanted (name, time, entry_id) AS (VALUES ` + values(len(piece)/3, "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT))") + `)
				SELECT DISTINCT w.entry_id FROM wanted w WHERE NOT EXISTS (SELECT 1 FROM ` + check.table + ` f
				WHERE f.` + check.column + ` = w.name AND f.time = w.time AND f.entry_id = w.entry_id)`
			err := v.conn.query(ctx, sql, piece, func(scan func(...any) error) error {
				var id int64
				if err := scan(&id); err != nil {
					return err
				}
				v.problem(id, index[id], "it is not found by all its %s any more", check.what)
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// checkStrays looks for rows that the log has never heard of.
func (v *verification) checkStrays(ctx context.Context) error {
	if _, err := queryRow(ctx, v.conn, `SELECT COUNT(*) FROM ledger_unsealed`, nil, &v.report.Waiting); err != nil {
		return err
	}
	return v.conn.query(ctx, `SELECT e.id FROM ledger_entry e
		WHERE NOT EXISTS (SELECT 1 FROM log_leaf l WHERE l.entry_id = e.id)
			AND NOT EXISTS (SELECT 1 FROM ledger_unsealed u WHERE u.entry_id = e.id) ORDER BY e.id LIMIT 1000`, nil,
		func(scan func(...any) error) error {
			var id int64
			if err := scan(&id); err != nil {
				return err
			}
			v.problem(id, -1, "it is not in the log, and does not wait to be: it was put there by hand")
			return nil
		})
}
