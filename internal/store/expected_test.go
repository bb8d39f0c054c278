package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

func TestWhatIsMissingShows(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, jobs("inv", 2))
		for range 2 { // a replay adds nothing
			err := s.SaveInvocation(t.Context(), Invocation{ID: "inv", Absent: []Absent{
				{Target: "//b:push", State: ledger.ExpectedAborted, Reason: "analysis failed"},
				{Target: "//a:push", Configuration: "k8", State: ledger.ExpectedIncomplete},
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.Cancel(t.Context(), Selection{Target: "//app:push1"}); err != nil || n != 1 {
			t.Fatalf("cancelled %d, error %v", n, err)
		}
		got, err := s.Expected(t.Context(), "inv")
		if err != nil {
			t.Fatal(err)
		}
		list := jobs("inv", 2)
		want := []ledger.Expected{
			{Target: "//app:push0", State: ledger.ExpectedPending, SpecDigest: list[0].Spec.Digest()},
			{Target: "//app:push1", State: ledger.ExpectedEnded, Outcome: ledger.Cancelled, SpecDigest: list[1].Spec.Digest()},
			{Target: "//a:push", Configuration: "k8", State: ledger.ExpectedIncomplete},
			{Target: "//b:push", State: ledger.ExpectedAborted, Reason: "analysis failed"},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(ledger.Expected{}, "Found", "Job", "Entry")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := pending(t, s, "inv"); got != 1 {
			t.Errorf("pending = %d, want 1: nobody waits for what is absent", got)
		}
	})
}

func TestTwoInvocationsAreCompared(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		row := func(invocation, target, digest string) ledger.Entry {
			return ledger.Entry{InvocationID: invocation, Target: target, Digest: digest, Outcome: ledger.Pushed, Registry: "r", Repository: "app"}
		}
		written(t, s,
			row("one", "//same", "sha256:a"), row("one", "//changed", "sha256:b"), row("one", "//removed", "sha256:c"),
			row("two", "//same", "sha256:a"), row("two", "//changed", "sha256:x"), row("two", "//added", "sha256:d"))
		got, err := s.Compare(t.Context(), "one", "two")
		if err != nil {
			t.Fatal(err)
		}
		changes := map[string]ledger.Change{}
		for _, d := range got {
			changes[d.Target] = d.Change
		}
		want := map[string]ledger.Change{"//same": ledger.Same, "//changed": ledger.Changed, "//removed": ledger.Removed, "//added": ledger.Added}
		if diff := cmp.Diff(want, changes); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestInvocationsAreListedByPage(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		for i, id := range []string{"a", "b", "c"} {
			if err := s.SaveInvocation(t.Context(), Invocation{ID: id, Started: monday.Add(time.Duration(i) * time.Minute)}); err != nil {
				t.Fatal(err)
			}
		}
		var ids []string
		var last *Invocation
		for {
			page, err := s.Invocations(t.Context(), last, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, i := range page {
				ids = append(ids, i.ID)
			}
			last = &page[len(page)-1]
		}
		if diff := cmp.Diff([]string{"c", "b", "a"}, ids); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestWhatIsTooOldIsRemovedAndTheLedgerIsNot(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		now := monday
		s := open(t, driver, Options{Clock: func() time.Time { return now }})
		for _, invocation := range []string{"old", "new"} {
			if err := s.SaveInvocation(t.Context(), Invocation{ID: invocation, Absent: []Absent{{Target: "//x", State: ledger.ExpectedAborted}}}); err != nil {
				t.Fatal(err)
			}
			enqueue(t, s, jobs(invocation, 600))
			if _, err := s.Cancel(t.Context(), Selection{Invocation: invocation}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
			now = now.Add(399 * day)
		}
		now = now.Add(-396 * day)
		if err := s.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		counts := map[string]int{}
		for _, table := range []string{"river_job", "expected", "absent", "invocation", "ledger_entry", "log_leaf", "log_checkpoint"} {
			n := 0
			if _, err := sqldb.QueryRow(t.Context(), s.db.Read(), `SELECT COUNT(*) FROM `+table, nil, &n); err != nil {
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
		if report := verify(t, s); len(report.Problems) > 0 {
			t.Errorf("problems: %v", report.Problems)
		}
		now = now.Add(2 * day)
		if err := s.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun, gone, err := s.Requeue(t.Context(), Selection{Invocation: "new"})
		if err != nil || begun != 0 || gone != 600 {
			t.Errorf("requeued %d, gone %d, error %v; want all gone", begun, gone, err)
		}
	})
}
