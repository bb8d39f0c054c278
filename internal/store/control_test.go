package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

func TestAJobThatWaitsIsCancelledAtOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, append(jobs("inv", 150), jobs("other", 1)...))
		n, err := s.Cancel(t.Context(), Selection{Invocation: "inv"})
		if err != nil || n != 150 {
			t.Fatalf("cancelled %d, error %v", n, err)
		}
		if got := pending(t, s, "inv"); got != 0 {
			t.Errorf("pending = %d, want 0", got)
		}
		if got := entries(t, s, ledger.Query{Outcome: ledger.Cancelled, Invocation: "inv", Limit: 1000}); len(got) != 150 || got[0].SpecDigest == "" {
			t.Errorf("%d rows say so, want 150", len(got))
		}
		run(t, s, pushed)
		settledWithin(t, s, "other", 10*time.Second)
		if n, err := s.Cancel(t.Context(), Selection{All: true}); err != nil || n != 0 {
			t.Errorf("cancelled %d that had ended, error %v", n, err)
		}
		if _, err := s.Cancel(t.Context(), Selection{}); err == nil {
			t.Error("an empty selection was taken for all")
		}
	})
}

func TestAJobThatRunsIsCancelledByItsContext(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, jobs("inv", 1))
		begun := make(chan struct{})
		run(t, s, func(ctx context.Context, _ Job, _ Attempt) (ledger.Entry, error) {
			close(begun)
			<-ctx.Done()
			return ledger.Entry{}, errors.New("cut off")
		})
		<-begun
		if n, err := s.Cancel(t.Context(), Selection{Target: "//app:push0"}); err != nil || n != 1 {
			t.Fatalf("cancelled %d, error %v", n, err)
		}
		settledWithin(t, s, "inv", 10*time.Second)
		if got := entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Outcome != ledger.Cancelled {
			t.Errorf("rows = %+v, want one that was cancelled", got)
		}
	})
}

func TestAJobThatWasCancelledWhileItsDaemonWasDeadIsNotDone(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		attempt := running(t, s, "inv")
		if n, err := s.Cancel(t.Context(), Selection{Job: attempt.Job()}); err != nil || n != 1 {
			t.Fatalf("cancelled %d, error %v", n, err)
		}
		if err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
			_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'available'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		run(t, s, func(context.Context, Job, Attempt) (ledger.Entry, error) {
			t.Error("the job was begun")
			return ledger.Entry{Outcome: ledger.Pushed}, nil
		})
		settledWithin(t, s, "inv", 10*time.Second)
		if got := entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Outcome != ledger.Cancelled {
			t.Errorf("rows = %+v, want one that was cancelled", got)
		}
	})
}

func TestAJobThatWaitsForItsNextAttemptCanBeHurried(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{Backoff: func(int) time.Duration { return time.Hour }})
		enqueue(t, s, jobs("inv", 1))
		failed := make(chan struct{}, 1)
		run(t, s, func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
			if attempt.Number == 1 {
				failed <- struct{}{}
				return ledger.Entry{}, errors.New("registry is down")
			}
			return pushed(ctx, job, attempt)
		})
		<-failed
		// Until the end of the attempt is written down there is nothing to hurry.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for n := 0; n == 0; {
			var err error
			if n, err = s.RetryNow(ctx, Selection{Invocation: "inv"}); err != nil {
				t.Fatal(err)
			}
		}
		settledWithin(t, s, "inv", 10*time.Second)
	})
}

func TestAPushThatEndedBadlyIsRequeuedAsAnotherJob(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, jobs("inv", 3))
		outcome := ledger.Denied
		stop := run(t, s, func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
			e, err := pushed(ctx, job, attempt)
			if job.Target == "//app:push1" {
				e.Outcome = outcome
			}
			return e, err
		})
		settledWithin(t, s, "inv", 10*time.Second)
		stop()
		begun, gone, err := s.Requeue(t.Context(), Selection{Invocation: "inv"})
		if err != nil || begun != 1 || gone != 0 {
			t.Fatalf("requeued %d, gone %d, error %v; want the one that was denied", begun, gone, err)
		}
		run(t, s, pushed)
		settledWithin(t, s, "inv", 10*time.Second)
		var outcomes []ledger.Outcome
		for _, e := range entries(t, s, ledger.Query{Target: "//app:push1"}) {
			outcomes = append(outcomes, e.Outcome)
		}
		if diff := cmp.Diff([]ledger.Outcome{ledger.Pushed, ledger.Denied}, outcomes); diff != "" {
			t.Errorf("rows of the target, newest first (-want +got):\n%s", diff)
		}
		counts, err := s.Outcomes(t.Context(), "inv")
		if diff := cmp.Diff(map[ledger.Outcome]int{ledger.Pushed: 3}, counts); diff != "" || err != nil {
			t.Errorf("outcomes (-want +got):\n%s%v", diff, err)
		}
	})
}

func TestUrgentJobsGoFirst(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		list := jobs("inv", 4)
		for i, p := range []Priority{PriorityIdle, 0, PriorityUrgent, PriorityLow} {
			list[i].Priority = p
		}
		enqueue(t, s, list)
		var order []string
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			done <- s.Run(ctx, worker(func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
				order = append(order, job.Target)
				return pushed(ctx, job, attempt)
			}), 1)
		}()
		settledWithin(t, s, "inv", 10*time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"//app:push2", "//app:push1", "//app:push3", "//app:push0"}, order); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestJobsThatHaveNotEndedAreListed(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{Backoff: func(int) time.Duration { return time.Hour }})
		enqueue(t, s, jobs("inv", 3))
		first, err := s.Jobs(t.Context(), "inv", 0, 2)
		if err != nil || len(first) != 2 {
			t.Fatalf("%d jobs, error %v", len(first), err)
		}
		rest, err := s.Jobs(t.Context(), "", first[1].ID, 2)
		if err != nil || len(rest) != 1 {
			t.Fatalf("%d jobs on the second page, error %v", len(rest), err)
		}
		want := JobStatus{State: JobWaiting, Job: jobs("inv", 3)[2]}
		want.Job.Priority = PriorityNormal
		if diff := cmp.Diff(want, rest[0], cmpopts.IgnoreFields(JobStatus{}, "ID", "Since")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		attempt := running(t, s, "failing")
		end := s.judge(t.Context(), Job{}, attempt, s.now(), ledger.Entry{}, errors.New("no route"))
		if err := s.settlements.do(t.Context(), "failing", 1, end); err != nil {
			t.Fatal(err)
		}
		list, err := s.Jobs(t.Context(), "failing", 0, 10)
		if err != nil || len(list) != 1 || list[0].State != JobRetrying || list[0].Error != "no route" || list[0].Next.IsZero() {
			t.Errorf("jobs = %+v, error %v; want one that is retried in an hour", list, err)
		}
		if n, err := s.Backlog(t.Context()); err != nil || n != 4 {
			t.Errorf("backlog = %d, error %v; want 4", n, err)
		}
	})
}
