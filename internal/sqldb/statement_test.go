package sqldb_test

import (
	"context"
	"testing"

	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

func TestALongListIsWrittenAndRemovedInPieces(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		db := driver.Open(t, sqldb.Options{})
		const rows = 20_000 // with three columns, over what either database takes at once
		var args []any
		for i := range rows {
			args = append(args, "sha256:a", i, i)
		}
		err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
			return sqldb.ExecMany(ctx, tx, sqldb.Insert{SQL: `INSERT INTO ledger_digest (digest, time, entry_id) VALUES `, Group: "(?,?,?)", Args: args})
		})
		if err != nil {
			t.Fatal(err)
		}
		count := func() (n int) {
			t.Helper()
			if _, err := sqldb.QueryRow(t.Context(), db.Read(), `SELECT COUNT(*) FROM ledger_digest`, nil, &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if got := count(); got != rows {
			t.Errorf("%d rows, want %d", got, rows)
		}
		if err := sqldb.DeleteMany(t.Context(), db, "ledger_digest", "entry_id", `SELECT entry_id FROM ledger_digest WHERE time >= ?`, 700); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != 700 {
			t.Errorf("%d rows are left, want 700", got)
		}
	})
}
