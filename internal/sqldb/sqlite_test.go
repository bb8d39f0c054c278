package sqldb_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/sqldb"
)

func TestASecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drayage.db")
	db, err := sqldb.Open(t.Context(), path, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := sqldb.Open(t.Context(), path, sqldb.Options{}); err == nil {
		second.Close()
		t.Error("the same file was opened twice")
	}
	db.Close()
	open(t, path)
}

func TestTheFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drayage.db")
	db := open(t, path)
	if err := exec(t, db, `UPDATE log_state SET size = 0`); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal", path + ".lock"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", file, mode)
		}
	}
}

func TestAFileThatIsNoDatabaseIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drayage.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqldb.Open(t.Context(), path, sqldb.Options{})
	if err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), path) {
		t.Errorf("open = %v", err)
	}
}

func TestAFolderThatIsNotThereIsNamed(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "none")
	_, err := sqldb.Open(t.Context(), filepath.Join(folder, "drayage.db"), sqldb.Options{})
	if err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("open = %v, want an error about %s", err, folder)
	}
}

func TestAnErrorOfTheFileSaysWhatToDo(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "drayage.db"))
	// As SQLite says when the disk is full: it cannot make the file longer.
	err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
		if err := tx.Query(ctx, `PRAGMA max_page_count = 1`, nil, func(sqldb.Scan) error { return nil }); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO stream_record (invocation_id, data) VALUES ('inv', zeroblob(1000000))`)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "disk that holds the store is full") {
		t.Errorf("a write to a full disk = %v", err)
	}
	if err := exec(t, db, `PRAGMA query_only = 1`); err != nil {
		t.Fatal(err)
	}
	if err := exec(t, db, `UPDATE log_state SET size = 0`); err == nil || !strings.Contains(err.Error(), "must be able to write") {
		t.Errorf("a write to a read-only file = %v", err)
	}
}
