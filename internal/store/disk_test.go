package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/store/storetest"
)

func TestAFullDiskIsAnErrorAndNotALoss(t *testing.T) {
	s := storetest.OpenAt(t, filepath.Join(t.TempDir(), "drayage.db"), store.Options{})
	// As SQLite says when the disk is full: it cannot make the file longer.
	limit := func(pages string) {
		t.Helper()
		err := store.DB(s).Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
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
		if failure = s.Enqueue(t.Context(), storetest.Jobs(fmt.Sprintf("inv%d", i), 50)); failure == nil {
			durable++
		}
	}
	if failure == nil || !strings.Contains(failure.Error(), "disk that holds the store is full") {
		t.Fatalf("enqueue on a full disk = %v", failure)
	}
	limit("1000000")
	storetest.Enqueue(t, s, storetest.Jobs(fmt.Sprintf("inv%d", durable), 50))
	total, err := s.Backlog(t.Context())
	if err != nil || total != 50*(durable+1) {
		t.Errorf("%d jobs, error %v; want %d: all that were durable, and those that came when there was room", total, err, 50*(durable+1))
	}
}

func TestAStoreThatCannotBeWrittenSaysSo(t *testing.T) {
	s := storetest.OpenAt(t, filepath.Join(t.TempDir(), "drayage.db"), store.Options{})
	err := store.DB(s).Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, `PRAGMA query_only = 1`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Enqueue(t.Context(), storetest.Jobs("inv", 1))
	if err == nil || !strings.Contains(err.Error(), "must be able to write") {
		t.Errorf("enqueue on a read-only store = %v", err)
	}
}
