package store

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store/storetest"
)

func TestABackupMadeInFullRunIsWhole(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		url := db.url(t)
		s := db.openAt(t, url, Options{})
		run(t, s, pushed)
		enqueue(t, s, jobs("before", 50))
		settledWithin(t, s, "before", 10*time.Second)

		// Jobs come and end while the backup is made.
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		busy := make(chan error, 1)
		go func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := s.Enqueue(t.Context(), jobs(fmt.Sprintf("during%d", i), 10)); err != nil {
					busy <- err
					return
				}
			}
			busy <- nil
		}()
		restored := restore(t, s, db, url)
		cancel()
		if err := <-busy; err != nil {
			t.Fatal(err)
		}

		copied := db.openAt(t, restored, Options{})
		if got := entries(t, copied, ledger.Query{Invocation: "before", Limit: 1000}); len(got) != 50 {
			t.Errorf("%d rows, want 50", len(got))
		}
		if report := verify(t, copied, VerifyOptions{Keys: []string{s.LogKey()}}); len(report.Problems) > 0 {
			t.Errorf("problems: %v", report.Problems)
		}
		// It is a store like any other.
		enqueue(t, copied, jobs("after", 5))
		run(t, copied, pushed)
		settledWithin(t, copied, "after", 20*time.Second)
	})
}

// restore backs the store up as docs/ledger.md says, restores it, and gives the
// URL of the copy.
func restore(t *testing.T, s *Store, db place, url string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup")
	if db.name == "sqlite" {
		if err := s.Backup(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		if err := s.Backup(t.Context(), file); err == nil {
			t.Error("a backup was overwritten")
		}
		if left, _ := filepath.Glob(file + ".*"); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
		return file
	}
	if err := s.Backup(t.Context(), file); err == nil || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("backup = %v, want a hint at pg_dump", err)
	}
	fresh := db.url(t)
	for _, command := range [][]string{
		{"pg_dump", "--format=custom", "--file=" + file, url},
		{"pg_restore", "--dbname=" + fresh, "--exit-on-error", file},
	} {
		program, err := storetest.Bin(command[0])
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program, command[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command[0], err, out)
		}
	}
	return fresh
}

func TestAFullDiskIsAnErrorAndNotALoss(t *testing.T) {
	on(t, "sqlite", func(t *testing.T, db place) { fullDisk(t, db.open(t, Options{})) })
}

func fullDisk(t *testing.T, s *Store) {
	t.Helper()
	// As SQLite says when the disk is full: it cannot make the file longer.
	limit := func(pages string) {
		t.Helper()
		err := s.db.write(t.Context(), func(ctx context.Context, tx conn) error {
			return tx.query(ctx, `PRAGMA max_page_count = `+pages, nil, func(func(...any) error) error { return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // as many as it has
	var durable int
	var failure error
	for i := 0; failure == nil && i < 200; i++ {
		if failure = s.Enqueue(t.Context(), jobs(fmt.Sprintf("inv%d", i), 50)); failure == nil {
			durable++
		}
	}
	if failure == nil || !strings.Contains(failure.Error(), "disk that holds the store is full") {
		t.Fatalf("enqueue on a full disk = %v", failure)
	}
	limit("1000000")
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("ready, with room again: %v", err)
	}
	enqueue(t, s, jobs(fmt.Sprintf("inv%d", durable), 50))
	total, err := s.Backlog(t.Context())
	if err != nil || total != 50*(durable+1) {
		t.Errorf("%d jobs, error %v; want %d: all that were durable, and those that came when there was room", total, err, 50*(durable+1))
	}
}

func TestAStoreThatCannotBeWrittenSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drayage.db")
	s, err := Open(t.Context(), path, quiet(t, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.db.write(t.Context(), func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, `PRAGMA query_only = 1`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Enqueue(t.Context(), jobs("inv", 1))
	if err == nil || !strings.Contains(err.Error(), "must be writable") {
		t.Errorf("enqueue on a read-only store = %v", err)
	}
	if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "must be writable") {
		t.Errorf("ready, on a read-only store: %v", err)
	}
}

func TestAFileThatIsNoDatabaseIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drayage.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, quiet(t, Options{}))
	if err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), path) {
		t.Errorf("open = %v", err)
	}
}
