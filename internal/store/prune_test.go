package store_test

import (
	"context"
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

func TestWhatATagMayYetNeedIsKept(t *testing.T) {
	const day = 24 * time.Hour
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		s := storetest.Open(t, driver, store.Options{Clock: func() time.Time { return now }})
		storetest.Enqueue(t, s, storetest.Jobs("inv", 2))
		stop := storetest.Run(t, s, func(_ context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
			attempt.Keep("sha256:"+job.Target, "manifest", []byte(job.Target))
			return ledger.Entry{Outcome: ledger.Staged, Gate: "green", Target: job.Target, SpecDigest: job.Spec.Digest()}, nil
		})
		storetest.Settled(t, s, "inv", 10*time.Second)
		stop()
		left := func(age time.Duration) map[string]int {
			now = now.Add(age)
			if err := store.Prune(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			counts := map[string]int{}
			for _, table := range []string{"river_job", "kept_manifest", "release"} {
				n := 0
				if _, err := sqldb.QueryRow(t.Context(), store.DB(s).Read(), `SELECT COUNT(*) FROM `+table, nil, &n); err != nil {
					t.Fatal(err)
				}
				counts[table] = n
			}
			return counts
		}
		if diff := cmp.Diff(map[string]int{"river_job": 2, "kept_manifest": 2, "release": 1}, left(29*day)); diff != "" {
			t.Errorf("rows left while the tags wait (-want +got):\n%s", diff)
		}
		// Its job is there: it says all that the spec's source needs.
		if _, err := s.Reject(t.Context(), store.Decision{Invocation: "inv", Reason: "no"}); err != nil {
			t.Fatal(err)
		}
		jobs, err := s.Jobs(t.Context(), "inv", 0, 10)
		if err != nil || len(jobs) != 2 || jobs[0].Job.Action != store.ActionTag || jobs[0].Job.Spec.Size != 100 {
			t.Errorf("jobs that withhold the tags: %+v, error %v", jobs, err)
		}
		if diff := cmp.Diff(map[string]int{"river_job": 2, "kept_manifest": 0, "release": 1}, left(32*day)); diff != "" {
			t.Errorf("rows left when the tags have waited for too long (-want +got):\n%s", diff)
		}
		if _, err := s.Cancel(t.Context(), store.Selection{Invocation: "inv"}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"river_job": 0, "kept_manifest": 0, "release": 0}, left(400*day)); diff != "" {
			t.Errorf("rows left when all is old (-want +got):\n%s", diff)
		}
	})
}

func TestATagIsPutBackWhenTheJobThatWroteItIsGone(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		s := storetest.Open(t, driver, store.Options{Clock: func() time.Time { return now }})
		list := storetest.Jobs("inv", 1)
		storetest.Enqueue(t, s, list)
		stop := storetest.Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
			entry, err := storetest.Pushed(ctx, job, attempt)
			entry.SpecDigest = job.Spec.Digest()
			return entry, err
		})
		storetest.Settled(t, s, "inv", 10*time.Second)
		stop()
		now = now.Add(100 * 24 * time.Hour)
		if err := store.Prune(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Rollback(t.Context(), store.Decision{Invocation: "inv"}); err != nil || n != 1 {
			t.Fatalf("rolled back %d, error %v", n, err)
		}
		jobs, err := s.Jobs(t.Context(), "inv", 0, 10)
		if err != nil || len(jobs) != 1 {
			t.Fatalf("jobs %+v, error %v", jobs, err)
		}
		got := jobs[0].Job
		if got.Action != store.ActionRestore || got.Entry == 0 || got.Target != list[0].Target || got.Spec.Digest() != list[0].Spec.Digest() {
			t.Errorf("the job is %+v", got)
		}
	})
}
