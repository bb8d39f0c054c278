package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/store/storetest"
)

func TestWhatIsTooOldIsRemovedAndTheLedgerIsNot(t *testing.T) {
	const day = 24 * time.Hour
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		s := storetest.Open(t, driver, store.Options{Clock: func() time.Time { return now }})
		for _, invocation := range []string{"old", "new"} {
			if err := s.SaveInvocation(t.Context(), store.Invocation{ID: invocation, Absent: []store.Absent{{Target: "//x", State: ledger.ExpectedAborted}}}); err != nil {
				t.Fatal(err)
			}
			storetest.Enqueue(t, s, storetest.Jobs(invocation, 600))
			if _, err := s.Cancel(t.Context(), store.Selection{Invocation: invocation}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
			now = now.Add(399 * day)
		}
		now = now.Add(-396 * day)
		if err := store.Prune(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		counts := map[string]int{}
		for _, table := range []string{"river_job", "expected", "absent", "invocation", "ledger_entry", "log_leaf", "log_checkpoint"} {
			n := 0
			if _, err := sqldb.QueryRow(t.Context(), store.DB(s).Read(), `SELECT COUNT(*) FROM `+table, nil, &n); err != nil {
				t.Fatal(err)
			}
			counts[table] = n
		}
		want := map[string]int{
			"river_job": 600, "expected": 600, "absent": 1, "invocation": 1, // the new ones
			"ledger_entry": 1200, "log_leaf": 1200, "log_checkpoint": 2, // all of them
		}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("rows left (-want +got):\n%s", diff)
		}
		if report := storetest.Verify(t, s); len(report.Problems) > 0 {
			t.Errorf("problems: %v", report.Problems)
		}
		now = now.Add(2 * day)
		if err := store.Prune(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		begun, gone, err := s.Requeue(t.Context(), store.Selection{Invocation: "new"})
		if err != nil || begun != 0 || gone != 600 {
			t.Errorf("requeued %d, gone %d, error %v; want all gone", begun, gone, err)
		}
	})
}
