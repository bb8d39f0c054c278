package store_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/internal/store/storetest"
)

// setJobs does to the queue what happens to it when a daemon dies.
func setJobs(t *testing.T, s *store.Store, to string) {
	t.Helper()
	err := store.DB(s).Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, `UPDATE river_job SET `+to)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAJobThatWasCancelledWhileItsDaemonWasDeadIsNotDone(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := storetest.Open(t, driver, store.Options{})
		storetest.Enqueue(t, s, storetest.Jobs("inv", 1))
		setJobs(t, s, `state = 'running', attempt = 1`)
		if n, err := s.Cancel(t.Context(), store.Selection{Invocation: "inv"}); err != nil || n != 1 {
			t.Fatalf("cancelled %d, error %v", n, err)
		}
		setJobs(t, s, `state = 'available'`)
		storetest.Run(t, s, func(context.Context, store.Job, store.Attempt) (ledger.Entry, error) {
			t.Error("the job was begun")
			return ledger.Entry{Outcome: ledger.Pushed}, nil
		})
		storetest.Settled(t, s, "inv", 10*time.Second)
		if got := storetest.Entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Outcome != ledger.Cancelled {
			t.Errorf("rows = %+v, want one that was cancelled", got)
		}
	})
}

// The answer in which the database gave a job to this daemon can get lost.
func TestAJobThatWasLostOnItsWayIsDoneAgain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := storetest.Open(t, driver, store.Options{})
		begun, goOn := make(chan struct{}, 1), make(chan struct{})
		storetest.Enqueue(t, s, storetest.Jobs("first", 1))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- s.Run(ctx, storetest.Worker(func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
				if job.Invocation == "first" {
					begun <- struct{}{}
					<-goOn
				}
				return storetest.Pushed(ctx, job, attempt)
			}), 1)
		}()
		<-begun
		// The only worker is taken. So nobody begins what is made the same daemon's.
		storetest.Enqueue(t, s, storetest.Jobs("lost", 1))
		setJobs(t, s, `state = 'running', attempt = 1, attempted_by = (SELECT attempted_by FROM river_job WHERE state = 'running') WHERE state = 'available'`)
		close(goOn)
		storetest.Settled(t, s, "lost", 20*time.Second)
		if got := storetest.Entries(t, s, ledger.Query{}); len(got) != 2 {
			t.Errorf("rows = %+v, want one of each job", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestALostRunWritesNoRow(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := storetest.Open(t, driver, store.Options{})
		storetest.Enqueue(t, s, storetest.Jobs("inv", 1))
		var runs atomic.Int64
		begun, goOn, claimed := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
		stop := storetest.Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
			run := int(runs.Add(1))
			begun <- struct{}{}
			if run == 1 {
				<-goOn
				if _, err := s.ClaimTags(ctx, attempt, store.TagClaim{Registry: "r", Repository: "a", Tags: []string{"t"}}); !errors.Is(err, store.ErrLost) {
					t.Errorf("claim of a lost run = %v, want ErrLost", err)
				}
				close(claimed)
			}
			e, err := storetest.Pushed(ctx, job, attempt)
			e.Requests = run
			return e, err
		})
		<-begun
		// Somebody takes the first run for dead.
		setJobs(t, s, `state = 'available'`)
		<-begun
		storetest.Settled(t, s, "inv", 10*time.Second)
		close(goOn)
		<-claimed
		stop()
		if got := storetest.Entries(t, s, ledger.Query{}); len(got) != 1 || got[0].Requests != 2 {
			t.Errorf("rows = %+v, want one, of the second run", got)
		}
	})
}
