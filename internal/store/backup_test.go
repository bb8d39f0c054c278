package store

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

func TestABackupMadeInFullRunIsWhole(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		url := driver.Empty(t)
		s := openAt(t, url, Options{})
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
		restored := driver.Copy(t, url)
		cancel()
		if err := <-busy; err != nil {
			t.Fatal(err)
		}

		copied := openAt(t, restored, Options{})
		if got := entries(t, copied, ledger.Query{Invocation: "before", Limit: 1000}); len(got) != 50 {
			t.Errorf("%d rows, want 50", len(got))
		}
		if report := verify(t, copied, s.LogKey()); len(report.Problems) > 0 {
			t.Errorf("problems: %v", report.Problems)
		}
		// It is a store like any other.
		enqueue(t, copied, jobs("after", 5))
		run(t, copied, pushed)
		settledWithin(t, copied, "after", 20*time.Second)
	})
}

func TestAFullDiskIsAnErrorAndNotALoss(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "drayage.db"), Options{})
	// As SQLite says when the disk is full: it cannot make the file longer.
	limit := func(pages string) {
		t.Helper()
		err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
			return tx.Query(ctx, `PRAGMA max_page_count = `+pages, nil, func(sqldb.Scan) error { return nil })
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
	s := openAt(t, filepath.Join(t.TempDir(), "drayage.db"), Options{})
	err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, `PRAGMA query_only = 1`)
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
