package sqldb_test

import (
	"context"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { sqldbtest.Main(m) }

// open opens a database, and closes it when the test ends.
func open(t *testing.T, url string) sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// exec runs a statement in a transaction of its own.
func exec(t *testing.T, db sqldb.DB, statement string, args ...any) error {
	t.Helper()
	return db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	})
}

func TestANewerSchemaIsRefused(t *testing.T) {
	for name, statement := range map[string]string{
		"the ledger":    `INSERT INTO drayage_schema (version_id, is_applied) VALUES (9999, TRUE)`,
		"the job queue": `INSERT INTO river_migration (line, version) VALUES ('main', 9999)`,
	} {
		t.Run(name, func(t *testing.T) {
			sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
				url := driver.Empty(t)
				db, err := sqldb.Open(t.Context(), url, sqldb.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := exec(t, db, statement); err != nil {
					t.Fatal(err)
				}
				db.Close()
				_, err = sqldb.Open(t.Context(), url, sqldb.Options{})
				if err == nil || !strings.Contains(err.Error(), name+" has schema version 9999") {
					t.Errorf("open = %v, want a refusal of version 9999 of %s", err, name)
				}
			})
		})
	}
}
