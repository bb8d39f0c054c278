package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

func aBackupMadeInFullRunIsWhole(t *testing.T, driver sqldbtest.Driver) {
	url := driver.Empty(t)
	s := OpenAt(t, url, store.Options{})
	Run(t, s, Pushed)
	Enqueue(t, s, Jobs("before", 50))
	Settled(t, s, "before", 10*time.Second)

	// Jobs come and end while the backup is made.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	busy := make(chan error, 1)
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := s.Enqueue(t.Context(), Jobs(fmt.Sprintf("during%d", i), 10)); err != nil {
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

	copied := OpenAt(t, restored, store.Options{})
	if got := Entries(t, copied, ledger.Query{Invocation: "before", Limit: 1000}); len(got) != 50 {
		t.Errorf("%d rows, want 50", len(got))
	}
	if report := Verify(t, copied, s.LogKey()); len(report.Problems) > 0 {
		t.Errorf("problems: %v", report.Problems)
	}
	// It is a store like any other.
	Enqueue(t, copied, Jobs("after", 5))
	Run(t, copied, Pushed)
	Settled(t, copied, "after", 20*time.Second)
}
