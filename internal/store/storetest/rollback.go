package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// rollBack rolls an invocation back, and returns how many pushes that begins.
func rollBack(t *testing.T, s *store.Store, invocation string) int {
	t.Helper()
	n, err := s.Rollback(t.Context(), store.Decision{Invocation: invocation, By: "anna", Reason: "it crashes"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func aRollbackPutsBackWhatHasMoved(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 5))
	end(t, s, "inv", "SUCCESS")
	runGated(t, gated{store: s, gate: "green"})
	are(t, s, "inv", tally{ledger.Pushed: 5})
	if n := rollBack(t, s, "inv"); n != 5 {
		t.Errorf("%d pushes are rolled back, want 5", n)
	}
	are(t, s, "inv", tally{ledger.RolledBack: 5})
	if r := released(t, s); r.State != store.ReleaseClosed || r.Class != "rolled-back" || r.Reason != "it crashes" || r.By != "anna" {
		t.Errorf("the release is %+v", r)
	}
	// What was left alone may be the build's again.
	if n := rollBack(t, s, "inv"); n != 5 {
		t.Errorf("%d pushes are rolled back once more, want 5", n)
	}
	are(t, s, "inv", tally{ledger.RolledBack: 5})
}

func aRollbackReachesWhatIsBeingWritten(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 3))
	end(t, s, "inv", "SUCCESS")
	writing, goOn := make(chan struct{}, 3), make(chan struct{})
	runGated(t, gated{store: s, gate: "green", tag: func(context.Context, store.Job) (ledger.Outcome, error) {
		writing <- struct{}{}
		<-goOn
		return ledger.Pushed, nil
	}})
	for range 3 {
		<-writing
	}
	rollBack(t, s, "inv")
	close(goOn)
	are(t, s, "inv", tally{ledger.RolledBack: 3})
}

func aBuildWithoutAGateIsRolledBackAsWell(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 4))
	end(t, s, "inv", "SUCCESS")
	g := gated{store: s}
	begun, goOn := make(chan struct{}, 1), make(chan struct{})
	g.push = func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		entry, err := Pushed(ctx, job, attempt)
		switch job.Target {
		case "//app:push1":
			entry.Tags[0].Previous = entry.Digest // it was there before
			entry.Outcome = ledger.Present
		case "//app:push2":
			entry.Outcome = ledger.Denied // nobody knows what its tags were
		case "//app:push3":
			begun <- struct{}{}
			<-goOn
		}
		return entry, err
	}
	runGated(t, g)
	<-begun
	for pending(t, s) > 1 {
	}
	if n := rollBack(t, s, "inv"); n != 1 {
		t.Errorf("%d pushes are rolled back, want the one that has moved its tag", n)
	}
	close(goOn)
	are(t, s, "inv", tally{ledger.RolledBack: 2, ledger.Present: 1, ledger.Denied: 1})
}

func aRolledBackBuildCanBePromoted(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 2))
	end(t, s, "inv", "SUCCESS")
	runGated(t, gated{store: s, gate: "green"})
	are(t, s, "inv", tally{ledger.Pushed: 2})
	rollBack(t, s, "inv")
	are(t, s, "inv", tally{ledger.RolledBack: 2})
	refusal(t, "it crashes")(s.Promote(t.Context(), store.Decision{Invocation: "inv"}))
	if _, err := s.Promote(t.Context(), store.Decision{Invocation: "inv", By: "ben", Override: true}); err != nil {
		t.Fatal(err)
	}
	are(t, s, "inv", tally{ledger.Pushed: 2})
	if n := rollBack(t, s, "inv"); n != 2 {
		t.Errorf("%d pushes are rolled back the second time, want 2", n)
	}
	are(t, s, "inv", tally{ledger.RolledBack: 2})
}

func aFailedTaggingJobIsRepeatedAsOne(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{MaxAttempts: 1})
	Enqueue(t, s, Jobs("inv", 3))
	end(t, s, "inv", "SUCCESS")
	var broken atomic.Bool
	broken.Store(true)
	runGated(t, gated{store: s, gate: "green", tag: func(_ context.Context, job store.Job) (ledger.Outcome, error) {
		switch {
		case job.Target == "//app:push1" && broken.Load():
			return ledger.Denied, nil
		case job.Target == "//app:push2" && broken.Load():
			return "", errors.New("no route")
		}
		return ledger.Pushed, nil
	}})
	are(t, s, "inv", tally{ledger.Pushed: 1, ledger.Denied: 1, ledger.Failed: 1})
	// The store made the row of the one whose worker did not.
	if rows := Entries(t, s, ledger.Query{Outcome: ledger.Failed}); rows[0].Digest != "sha256://app:push2" || len(rows[0].HeldTags) != 1 || len(rows[0].Tags) != 0 {
		t.Errorf("the row of the tagging job that failed is %+v", rows[0])
	}
	broken.Store(false)
	if n, _, err := s.Requeue(t.Context(), store.Selection{Invocation: "inv"}); err != nil || n != 2 {
		t.Fatalf("requeued %d, error %v", n, err)
	}
	are(t, s, "inv", tally{ledger.Pushed: 3})
	if rows := Entries(t, s, ledger.Query{Outcome: ledger.Staged}); len(rows) != 3 {
		t.Errorf("%d images were staged, want each once", len(rows))
	}
}

func aCancelledTaggingJobSaysWhichImageItIs(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	begin(t, s, "inv")
	Enqueue(t, s, Jobs("inv", 2))
	stop := runGated(t, gated{store: s, gate: "green"})
	Settled(t, s, "inv", 20*time.Second)
	stop()
	end(t, s, "inv", "SUCCESS")
	if n, err := s.Cancel(t.Context(), store.Selection{Invocation: "inv"}); err != nil || n != 2 {
		t.Fatalf("cancelled %d, error %v", n, err)
	}
	for _, row := range Entries(t, s, ledger.Query{Outcome: ledger.Cancelled}) {
		if row.Digest != "sha256:"+row.Target || row.Repository != "app" || len(row.HeldTags) != 1 || len(row.Tags) != 0 || row.Gate != "green" {
			t.Errorf("the row is %+v", row)
		}
	}
	runGated(t, gated{store: s, gate: "green"})
	if n, _, err := s.Requeue(t.Context(), store.Selection{Invocation: "inv"}); err != nil || n != 2 {
		t.Fatalf("requeued %d, error %v", n, err)
	}
	are(t, s, "inv", tally{ledger.Pushed: 2})
}

// manyTags is how many tags move within two seconds of the end of a build.
const manyTags = 1300

func manyGatedTagsBecomeJobsInOneGo(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	begin(t, s, "inv")
	Enqueue(t, s, Jobs("inv", manyTags))
	stop := runGated(t, gated{store: s, gate: "green"})
	Settled(t, s, "inv", 60*time.Second)
	stop()
	began := time.Now()
	end(t, s, "inv", "SUCCESS")
	t.Logf("%d tags have jobs %s after the end of the build", manyTags, time.Since(began))
	if n := pending(t, s); n != manyTags {
		t.Errorf("%d jobs are pending, want %d", n, manyTags)
	}
	began = time.Now()
	runWith(t, s, gated{store: s, gate: "green"}.work, 64)
	are(t, s, "inv", tally{ledger.Pushed: manyTags})
	t.Logf("they ended %s later", time.Since(began))
}
