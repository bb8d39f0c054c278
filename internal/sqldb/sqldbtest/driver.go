package sqldbtest

import (
	"context"
	"database/sql"
	"os/exec"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/drayage/drayage/internal/sqldb"
)

// Driver is a kind of database.
type Driver struct {
	Name string
	// Shared says that several daemons may open one database.
	Shared bool
	// Empty makes an empty database, which the test's end removes or a later test
	// does not see, and returns its URL.
	Empty func(tb testing.TB) string
	// Migrated is Empty with the schema in it, where a copy is quicker than to
	// migrate anew.
	Migrated func(tb testing.TB) string
	// Copy backs up the database at url as docs/ledger.md says, while it is in use,
	// restores the backup, and returns the URL of the copy.
	Copy func(tb testing.TB, url string) string
	// Unprotect are the statements that let the ledger's rows be changed, which only
	// somebody with the database's password can run.
	Unprotect []string
}

// Drivers are all kinds of database.
func Drivers() []Driver {
	return []Driver{
		{
			Name: "sqlite", Empty: newFile, Migrated: newFile, Copy: copyFile,
			Unprotect: []string{`DROP TRIGGER ledger_entry_keep`, `DROP TRIGGER ledger_entry_stay`, `DROP TRIGGER ledger_metadata_keep`, `DROP TRIGGER ledger_metadata_stay`},
		},
		{
			Name: "postgres", Shared: true, Empty: newDatabase, Migrated: migratedDatabase, Copy: copyDatabase,
			Unprotect: []string{`DROP TRIGGER ledger_entry_keep ON ledger_entry`, `DROP TRIGGER ledger_metadata_keep ON ledger_metadata`},
		},
	}
}

// Each runs a test on every kind of database. Under -short it leaves out those that
// need a server.
func Each(t *testing.T, test func(t *testing.T, driver Driver)) {
	t.Helper()
	for _, driver := range Drivers() {
		t.Run(driver.Name, func(t *testing.T) {
			if driver.Shared && testing.Short() {
				t.Skip("it needs a database server")
			}
			test(t, driver)
		})
	}
}

// EachShared runs a test on every kind of database that daemons may share.
func EachShared(t *testing.T, test func(t *testing.T, driver Driver)) {
	t.Helper()
	Each(t, func(t *testing.T, driver Driver) {
		if driver.Shared {
			test(t, driver)
		}
	})
}

// Open opens a new database that has the schema, and closes it when the test
// ends.
func (d Driver) Open(tb testing.TB, options sqldb.Options) sqldb.DB {
	tb.Helper()
	db, err := sqldb.Open(tb.Context(), d.Migrated(tb), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

func newFile(tb testing.TB) string { return filepath.Join(tb.TempDir(), "drayage.db") }

func copyFile(tb testing.TB, url string) string {
	tb.Helper()
	db, err := sql.Open("sqlite", url)
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	target := filepath.Join(tb.TempDir(), "backup.db")
	if _, err := db.ExecContext(tb.Context(), `VACUUM INTO ?`, target); err != nil {
		tb.Fatal(err)
	}
	return target
}

func newDatabase(tb testing.TB) string {
	tb.Helper()
	return databaseFrom(tb, "")
}

func migratedDatabase(tb testing.TB) string {
	tb.Helper()
	template, err := template()
	if err != nil {
		tb.Fatal(err)
	}
	return databaseFrom(tb, template)
}

// databaseFrom copies the database at the URL template, or makes an empty one
// where that is empty.
func databaseFrom(tb testing.TB, template string) string {
	tb.Helper()
	cluster, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	url, err := cluster.NewDatabase(context.WithoutCancel(tb.Context()), template)
	if err != nil {
		tb.Fatal(err)
	}
	return url
}

func copyDatabase(tb testing.TB, url string) string {
	tb.Helper()
	file, fresh := filepath.Join(tb.TempDir(), "backup"), newDatabase(tb)
	for _, command := range [][]string{
		{"pg_dump", "--format=custom", "--file=" + file, url},
		{"pg_restore", "--dbname=" + fresh, "--exit-on-error", file},
	} {
		program, err := find(binFolder(), command[0])
		if err != nil {
			tb.Fatal(err)
		}
		if out, err := exec.CommandContext(tb.Context(), program, command[1:]...).CombinedOutput(); err != nil {
			tb.Fatalf("%s: %v\n%s", command[0], err, out)
		}
	}
	return fresh
}
