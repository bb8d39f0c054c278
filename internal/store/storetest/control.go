package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

func aJobThatWaitsIsCancelledAtOnce(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, append(Jobs("inv", 150), Jobs("other", 1)...))
	n, err := s.Cancel(t.Context(), store.Selection{Invocation: "inv"})
	if err != nil || n != 150 {
		t.Fatalf("cancelled %d, error %v", n, err)
	}
	if got := pending(t, s); got != 0 {
		t.Errorf("pending = %d, want 0", got)
	}
	if got := Entries(t, s, ledger.Query{Outcome: ledger.Cancelled, Invocation: "inv", Limit: 1000}); len(got) != 150 || got[0].SpecDigest == "" {
		t.Errorf("%d rows say so, want 150", len(got))
	}
	Run(t, s, Pushed)
	Settled(t, s, "other", 10*time.Second)
	if n, err := s.Cancel(t.Context(), store.Selection{All: true}); err != nil || n != 0 {
		t.Errorf("cancelled %d that had ended, error %v", n, err)
	}
	if _, err := s.Cancel(t.Context(), store.Selection{}); err == nil {
		t.Error("an empty selection was taken for all")
	}
}

func aJobThatRunsIsCancelledByItsContext(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 1))
	begun := make(chan struct{})
	Run(t, s, func(ctx context.Context, _ store.Job, _ store.Attempt) (ledger.Entry, error) {
		close(begun)
		<-ctx.Done()
		return ledger.Entry{}, errors.New("cut off")
	})
	<-begun
	if n, err := s.Cancel(t.Context(), store.Selection{Target: "//app:push0"}); err != nil || n != 1 {
		t.Fatalf("cancelled %d, error %v", n, err)
	}
	Settled(t, s, "inv", 10*time.Second)
	if got := Entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Outcome != ledger.Cancelled {
		t.Errorf("rows = %+v, want one that was cancelled", got)
	}
}

func aJobThatWaitsForItsNextAttemptCanBeHurried(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{Backoff: func(int) time.Duration { return time.Hour }})
	Enqueue(t, s, Jobs("inv", 1))
	failed := make(chan struct{}, 1)
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		if attempt.Number == 1 {
			failed <- struct{}{}
			return ledger.Entry{}, errors.New("registry is down")
		}
		return Pushed(ctx, job, attempt)
	})
	<-failed
	// Until the end of the attempt is written down there is nothing to hurry.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for n := 0; n == 0; {
		var err error
		if n, err = s.RetryNow(ctx, store.Selection{Invocation: "inv"}); err != nil {
			t.Fatal(err)
		}
	}
	Settled(t, s, "inv", 10*time.Second)
}

func aPushThatEndedBadlyIsRequeuedAsAnotherJob(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 3))
	outcome := ledger.Denied
	stop := Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		e, err := Pushed(ctx, job, attempt)
		switch job.Target {
		case "//app:push1":
			e.Outcome = outcome
		case "//app:push2":
			e.Outcome = ledger.Superseded // a newer build's image is there: to push this one again is no help
		}
		return e, err
	})
	Settled(t, s, "inv", 10*time.Second)
	stop()
	begun, gone, err := s.Requeue(t.Context(), store.Selection{Invocation: "inv"})
	if err != nil || begun != 1 || gone != 0 {
		t.Fatalf("requeued %d, gone %d, error %v; want the one that was denied", begun, gone, err)
	}
	Run(t, s, Pushed)
	Settled(t, s, "inv", 10*time.Second)
	var outcomes []ledger.Outcome
	for _, e := range Entries(t, s, ledger.Query{Target: "//app:push1"}) {
		outcomes = append(outcomes, e.Outcome)
	}
	if diff := cmp.Diff([]ledger.Outcome{ledger.Pushed, ledger.Denied}, outcomes); diff != "" {
		t.Errorf("rows of the target, newest first (-want +got):\n%s", diff)
	}
	counts, err := s.Outcomes(t.Context(), "inv")
	if diff := cmp.Diff(map[ledger.Outcome]int{ledger.Pushed: 2, ledger.Superseded: 1}, counts); diff != "" || err != nil {
		t.Errorf("outcomes (-want +got):\n%s%v", diff, err)
	}
}

func urgentJobsGoFirst(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	list := Jobs("inv", 4)
	for i, p := range []store.Priority{store.PriorityIdle, 0, store.PriorityUrgent, store.PriorityLow} {
		list[i].Priority = p
	}
	Enqueue(t, s, list)
	var order []string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, Worker(func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
			order = append(order, job.Target)
			return Pushed(ctx, job, attempt)
		}), 1)
	}()
	Settled(t, s, "inv", 10*time.Second)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"//app:push2", "//app:push1", "//app:push3", "//app:push0"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func jobsThatHaveNotEndedAreListed(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{Backoff: func(int) time.Duration { return time.Hour }})
	Enqueue(t, s, Jobs("inv", 3))
	first, err := s.Jobs(t.Context(), "inv", 0, 2)
	if err != nil || len(first) != 2 {
		t.Fatalf("%d jobs, error %v", len(first), err)
	}
	rest, err := s.Jobs(t.Context(), "", first[1].ID, 2)
	if err != nil || len(rest) != 1 {
		t.Fatalf("%d jobs on the second page, error %v", len(rest), err)
	}
	want := store.JobStatus{State: store.JobWaiting, Job: Jobs("inv", 3)[2]}
	want.Job.Priority = store.PriorityNormal
	if diff := cmp.Diff(want, rest[0], cmpopts.IgnoreFields(store.JobStatus{}, "ID", "Since")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	Run(t, s, func(context.Context, store.Job, store.Attempt) (ledger.Entry, error) {
		return ledger.Entry{}, errors.New("no route")
	})
	deadline, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for failed := 0; failed < 3; {
		list, err := s.Jobs(deadline, "inv", 0, 10)
		if err != nil || len(list) != 3 {
			t.Fatalf("jobs = %+v, error %v; want three that are retried in an hour", list, err)
		}
		failed = 0
		for _, job := range list {
			if job.State == store.JobRetrying && job.Error == "no route" && !job.Next.IsZero() {
				failed++
			}
		}
	}
	if n, err := s.Backlog(t.Context()); err != nil || n != 3 {
		t.Errorf("backlog = %d, error %v; want 3", n, err)
	}
}
