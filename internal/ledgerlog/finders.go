package ledgerlog

import (
	"context"
	"slices"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

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
		for _, digest := range e.Digests() {
			digests = append(digests, digest, sqldb.Micros(e.Time), row.id)
		}
		for _, tag := range e.TagNames() {
			tags = append(tags, tag, sqldb.Micros(e.Time), row.id)
		}
	}
	for _, check := range []struct {
		what, table, column string
		wanted              []any
	}{{"digests", "ledger_digest", "digest", digests}, {"tags", "ledger_tag", "tag", tags}} {
		for piece := range slices.Chunk(check.wanted, 3*2000) {
			sql := `WITH wanted (name, time, entry_id) AS (VALUES ` + sqldb.Values(len(piece)/3, "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT))") + `)
				SELECT DISTINCT w.entry_id FROM wanted w WHERE NOT EXISTS (SELECT 1 FROM ` + check.table + ` f
				WHERE f.` + check.column + ` = w.name AND f.time = w.time AND f.entry_id = w.entry_id)`
			err := v.conn.Query(ctx, sql, piece, func(scan sqldb.Scan) error {
				var id int64
				if err := scan(&id); err != nil {
					return err
				}
				v.problemf(id, index[id], "some of its %s no longer find it", check.what)
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// checkStrays looks for rows that are neither in the log nor waiting for it.
func (v *verification) checkStrays(ctx context.Context) error {
	if _, err := sqldb.QueryRow(ctx, v.conn, `SELECT COUNT(*) FROM ledger_unsealed`, nil, &v.report.Waiting); err != nil {
		return err
	}
	return v.conn.Query(ctx, `SELECT e.id FROM ledger_entry e
		WHERE NOT EXISTS (SELECT 1 FROM log_leaf l WHERE l.entry_id = e.id)
			AND NOT EXISTS (SELECT 1 FROM ledger_unsealed u WHERE u.entry_id = e.id) ORDER BY e.id LIMIT 1000`, nil,
		func(scan sqldb.Scan) error {
			var id int64
			if err := scan(&id); err != nil {
				return err
			}
			v.problemf(id, -1, "it is not in the log and does not wait to be sealed: somebody inserted it by hand")
			return nil
		})
}
