package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/store/storetest"
)

// ended is the row of a job that ended.
func ended(job store.JobStatus, outcome ledger.Outcome) ledger.Entry {
	e := ledger.Entry{
		Job: job.ID, Time: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), InvocationID: job.Job.Invocation, Target: job.Job.Target, Outcome: outcome,
		Registry: "registry.test", Repository: job.Job.Target, Digest: "sha256:" + job.Job.Target,
	}
	if outcome == ledger.Staged {
		e.Gate, e.HeldTags = "green", []string{"latest"}
	} else {
		e.Tags = []ledger.Tag{{Name: "latest", Previous: "sha256:before"}}
	}
	return e
}

// twoJobs are jobs of an invocation that has ended.
func twoJobs(t *testing.T, s *store.Store) []store.JobStatus {
	t.Helper()
	storetest.Enqueue(t, s, storetest.Jobs("inv", 2))
	if err := s.SaveInvocation(t.Context(), store.Invocation{ID: "inv", ExitCode: "SUCCESS", Finished: true}); err != nil {
		t.Fatal(err)
	}
	jobs, err := s.Jobs(t.Context(), "inv", 0, 10)
	if err != nil || len(jobs) != 2 {
		t.Fatalf("jobs %+v, error %v", jobs, err)
	}
	return jobs
}

// soon waits until the pushes of the invocation have ended so. It does not call Wait,
// which decides by itself.
func soon(t *testing.T, s *store.Store, outcome ledger.Outcome, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var counts map[ledger.Outcome]int
	for ctx.Err() == nil {
		if counts, _ = s.Outcomes(ctx, "inv"); counts[outcome] == n {
			return
		}
	}
	t.Fatalf("the pushes ended as %v, want %d %s", counts, n, outcome)
}

// act ends tagging jobs and rollbacks, and leaves pushes to the test.
func act(_ context.Context, job store.Job, _ store.Attempt) (ledger.Entry, error) {
	outcome := ledger.Pushed
	switch job.Action {
	case store.ActionPush:
		return ledger.Entry{}, &store.PostponeError{After: time.Hour}
	case store.ActionRestore:
		outcome = ledger.RolledBack
	case store.ActionTag:
	}
	return ledger.Entry{Outcome: outcome, Target: job.Target}, nil
}

// keep makes the store's daemon the keeper, and returns when it has looked at everything.
func keep(t *testing.T, s *store.Store) {
	t.Helper()
	storetest.Run(t, s, act)
	storetest.Enqueue(t, s, storetest.Jobs("sealed", 1))
	if _, err := s.Cancel(t.Context(), store.Selection{Invocation: "sealed"}); err != nil {
		t.Fatal(err)
	}
	// The keeper seals after it has looked.
	deadline := time.Now().Add(20 * time.Second)
	for {
		if checkpoint, err := s.Checkpoint(t.Context()); err == nil && len(checkpoint) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody keeps the store")
		}
	}
}

// Neither transaction sees the row of the other, and only one the release.
func TestTheKeeperDecidesWhatARaceOfTwoEndsLeavesUndecided(t *testing.T) {
	sqldbtest.EachShared(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := storetest.Open(t, driver, store.Options{})
		jobs := twoJobs(t, s)
		keep(t, s)
		err := store.Record(t.Context(), s, func() error {
			return store.Record(t.Context(), s, func() error { return nil }, ended(jobs[1], ledger.Pushed))
		}, ended(jobs[0], ledger.Staged))
		if err != nil {
			t.Fatal(err)
		}
		soon(t, s, ledger.Pushed, 2)
	})
}

// Two ends that both make the release do not miss each other.
func TestOfTwoPushesThatAreStagedAtATimeTheSecondOpensTheRelease(t *testing.T) {
	sqldbtest.EachShared(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := storetest.Open(t, driver, store.Options{})
		jobs := twoJobs(t, s)
		second := make(chan error, 1)
		err := store.Record(t.Context(), s, func() error {
			go func() {
				second <- store.Record(t.Context(), s, func() error { return nil }, ended(jobs[1], ledger.Staged))
			}()
			return waitForLock(t, s)
		}, ended(jobs[0], ledger.Staged))
		if err == nil {
			err = <-second
		}
		if err != nil {
			t.Fatal(err)
		}
		if r, _, err := s.Release(t.Context(), "inv"); err != nil || r.State != store.ReleaseOpen {
			t.Errorf("the release is %+v, error %v; want it open", r, err)
		}
	})
}

// waitForLock returns when a transaction of the database waits for another.
func waitForLock(t *testing.T, s *store.Store) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for waiting := 0; waiting == 0; {
		err := store.DB(s).Read().Query(ctx, `SELECT COUNT(*) FROM pg_locks l JOIN pg_database d ON d.datname = current_database()
			WHERE NOT l.granted AND (l.database = d.oid OR l.locktype = 'transactionid')`, nil, func(scan func(...any) error) error { return scan(&waiting) })
		if err != nil {
			return err
		}
	}
	return nil
}

func TestARollbackReachesARowThatWasWrittenBesideIt(t *testing.T) {
	sqldbtest.EachShared(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := storetest.Open(t, driver, store.Options{})
		jobs := twoJobs(t, s)
		keep(t, s)
		err := store.Record(t.Context(), s, func() error {
			n, err := s.Rollback(t.Context(), store.Decision{Invocation: "inv", By: "anna"})
			if n != 0 {
				t.Errorf("%d pushes are rolled back, none had ended", n)
			}
			return err
		}, ended(jobs[0], ledger.Pushed), ended(jobs[1], ledger.Pushed))
		if err != nil {
			t.Fatal(err)
		}
		soon(t, s, ledger.RolledBack, 2)
	})
}

// Which image the tag should lead to is not for time to decide.
func TestNoTagMovesOfABuildThatWantsOneForTwoImages(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := storetest.Open(t, driver, store.Options{})
		jobs := twoJobs(t, s)
		var rows []ledger.Entry
		for _, job := range jobs {
			row := ended(job, ledger.Staged)
			row.Repository = "app"
			rows = append(rows, row)
		}
		if err := store.Record(t.Context(), s, func() error { return nil }, rows...); err != nil {
			t.Fatal(err)
		}
		r, _, err := s.Release(t.Context(), "inv")
		want := jobs[0].Job.Target + " and " + jobs[1].Job.Target + " both want registry.test/app:latest, for two images"
		if err != nil || r.State != store.ReleaseClosed || r.Class != ledger.ClassConflict || !strings.Contains(r.Reason, want) {
			t.Errorf("the release is %+v, error %v; want it closed since %s", r, err, want)
		}
		if _, err := s.Promote(t.Context(), store.Decision{Invocation: "inv", By: "anna", Override: true}); err == nil {
			t.Error("it can be promoted all the same")
		}
	})
}
