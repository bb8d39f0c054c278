package sqldb_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func TestAClaimThatWasUnderWayGetsALease(t *testing.T) {
	sqldbtest.EachShared(t, func(t *testing.T, driver sqldbtest.Driver) {
		db := driver.Open(t, sqldb.Options{})
		migration, err := os.ReadFile(filepath.Join("migrations", driver.Name, "00007_leases.sql"))
		if err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		for _, statement := range append([]string{ // as the release before left it
			`ALTER TABLE blob_claim DROP COLUMN lease_until`,
			`INSERT INTO blob_claim (registry, digest, daemon, repository, time) VALUES ('r', 'under way', 'd', '', 1), ('r', 'done', 'd', 'app', 1)`,
		}, strings.Split(strings.TrimSuffix(strings.TrimSpace(string(migration)), ";"), ";")...) {
			if err := exec(t, db, statement); err != nil {
				t.Fatal(err)
			}
		}
		left := map[string]time.Duration{}
		err = db.Read().Query(t.Context(), `SELECT digest, lease_until FROM blob_claim`, nil, func(scan sqldb.Scan) error {
			var digest string
			var until int64
			err := scan(&digest, &until)
			left[digest] = sqldb.FromMicros(until).Sub(before)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if lease := left["under way"]; lease < 29*time.Second || lease > time.Minute {
			t.Errorf("the claim that was under way ends in %s, want a lease", lease)
		}
		if left["done"] > 0 {
			t.Errorf("a claim that was done holds for %s", left["done"])
		}
	})
}
