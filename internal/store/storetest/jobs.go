package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

func jobsEndInTheLedger(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 250))
	if got := pending(t, s); got != 250 {
		t.Fatalf("pending = %d, want 250", got)
	}
	Run(t, s, Pushed)
	Settled(t, s, "inv", 30*time.Second)

	seen := map[string]bool{}
	for _, e := range Entries(t, s, ledger.Query{Invocation: "inv", Limit: 1000}) {
		if seen[e.Target] {
			t.Errorf("%s has two rows", e.Target)
		}
		seen[e.Target] = true
	}
	if len(seen) != 250 {
		t.Errorf("%d targets have a row, want 250", len(seen))
	}
}

func aStartThatIsCalledOffIsNoFailure(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx, Worker(Pushed), 1); err != nil {
		t.Errorf("error is %v", err)
	}
}

func theSameJobIsDoneOnce(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	list := Jobs("inv", 3)
	Enqueue(t, s, append(list, list...))
	Enqueue(t, s, list)
	Run(t, s, Pushed)
	Settled(t, s, "inv", 10*time.Second)
	Enqueue(t, s, list)
	if got := pending(t, s); got != 0 {
		t.Errorf("pending = %d after a replay of what was done, want 0", got)
	}
	if got := Entries(t, s, ledger.Query{}); len(got) != 3 {
		t.Errorf("%d rows, want 3", len(got))
	}
}

func specsThatComeWithTheStreamAreKept(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	list := Jobs("inv", 3)
	for i := range list {
		spec := bytes.Repeat([]byte{byte(i), 0, 0xff}, 1<<20)
		list[i].Spec = store.SpecRef{Inline: spec}
	}
	Enqueue(t, s, list)
	Enqueue(t, s, list)
	var mu sync.Mutex
	kept := 0
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(job.Spec.Inline) == 3<<20 && job.Spec.Inline[2] == 0xff {
			kept++
		}
		return Pushed(ctx, job, attempt)
	})
	Settled(t, s, "inv", 10*time.Second)
	if kept != 3 {
		t.Errorf("%d specs came as they were, want 3", kept)
	}
}

func aFailedAttemptIsTriedAgain(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 1))
	var numbers []int
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		numbers = append(numbers, attempt.Number)
		if attempt.Number < 3 {
			return ledger.Entry{}, &store.RetryError{Err: fmt.Errorf("registry said no, time %d", attempt.Number)}
		}
		return Pushed(ctx, job, attempt)
	})
	Settled(t, s, "inv", 10*time.Second)
	if diff := cmp.Diff([]int{1, 2, 3}, numbers); diff != "" {
		t.Errorf("attempt numbers (-want +got):\n%s", diff)
	}
}

func failuresAreCountedByTheirClass(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 1))
	errs := []error{
		&store.RetryError{Class: "evicted", Err: errors.New("the blob is gone")},
		errors.New("no reason"),
		&store.RetryError{Class: "registry", Err: errors.New("503")},
		&store.RetryError{Class: "evicted", Err: errors.New("the blob is gone")},
	}
	var evicted []int
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		evicted = append(evicted, attempt.FailuresOf("evicted"))
		if len(evicted) <= len(errs) {
			return ledger.Entry{}, errs[len(evicted)-1]
		}
		return Pushed(ctx, job, attempt)
	})
	Settled(t, s, "inv", 10*time.Second)
	if diff := cmp.Diff([]int{0, 1, 1, 1, 2}, evicted); diff != "" {
		t.Errorf("failures of the class before each attempt (-want +got):\n%s", diff)
	}
}

func aRetryComesNoSoonerThanAsked(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 1))
	var times []time.Time
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		times = append(times, time.Now())
		if attempt.Number == 1 {
			return ledger.Entry{}, &store.RetryError{After: 700 * time.Millisecond, Err: errors.New("too many requests")}
		}
		return Pushed(ctx, job, attempt)
	})
	Settled(t, s, "inv", 15*time.Second)
	// The database keeps the time to the millisecond.
	if waited := times[1].Sub(times[0]); waited < 699*time.Millisecond {
		t.Errorf("tried again after %s, want 700ms at least", waited)
	}
}

func thePostponedAttemptDoesNotCount(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{MaxAttempts: 2})
	Enqueue(t, s, Jobs("inv", 1))
	calls := 0
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		if calls++; calls <= 5 {
			return ledger.Entry{}, &store.PostponeError{}
		}
		return Pushed(ctx, job, attempt)
	})
	Settled(t, s, "inv", 10*time.Second)
	if got := Entries(t, s, ledger.Query{})[0].Attempts; got != 1 {
		t.Errorf("the row counts %d attempts, want 1", got)
	}
}

func theLastAttemptEndsInARowWhateverTheWorkerDoes(t *testing.T, driver sqldbtest.Driver) {
	for name, broken := range map[string]Worker{
		"error": func(context.Context, store.Job, store.Attempt) (ledger.Entry, error) {
			return ledger.Entry{}, errors.New("no route")
		},
		"panic": func(context.Context, store.Job, store.Attempt) (ledger.Entry, error) { panic("no route") },
	} {
		t.Run(name, func(t *testing.T) {
			s := Open(t, driver, store.Options{MaxAttempts: 3})
			Enqueue(t, s, Jobs("inv", 1))
			Run(t, s, broken)
			Settled(t, s, "inv", 10*time.Second)
			got := Entries(t, s, ledger.Query{})
			if len(got) != 1 || got[0].Outcome != ledger.Failed || got[0].Attempts != 3 || got[0].Error == "" {
				t.Errorf("rows = %+v, want one that failed after 3 attempts", got)
			}
		})
	}
}

func anAttemptThatTakesTooLongIsAFailure(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{MaxAttempts: 2, JobTimeout: 50 * time.Millisecond})
	Enqueue(t, s, Jobs("inv", 1))
	Run(t, s, func(ctx context.Context, _ store.Job, _ store.Attempt) (ledger.Entry, error) {
		<-ctx.Done()
		return ledger.Entry{}, ctx.Err()
	})
	Settled(t, s, "inv", 10*time.Second)
	if got := Entries(t, s, ledger.Query{}); got[0].Outcome != ledger.Failed || got[0].Attempts != 2 {
		t.Errorf("row = %+v, want a failure after two attempts", got[0])
	}
}

func invocationsAreMerged(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	started := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, news := range []store.Invocation{
		{ID: "inv", Build: "b", Started: started, Status: map[string]string{"A": "1"}},
		{ID: "inv", Command: "build", Status: map[string]string{"B": "2"}},
		{ID: "inv", ExitCode: "SUCCESS", Finished: true},
		{ID: "inv", Metadata: map[string]string{"C": "3"}},
		{ID: "inv", Flags: map[string]string{"remote_cache": ""}, Unsent: store.Unsent{Digests: []string{"ab"}}},
		{ID: "inv", Flags: map[string]string{"disk_cache": "set"}, Unsent: store.Unsent{Code: "UNAVAILABLE"}},
	} {
		if err := s.SaveInvocation(t.Context(), news); err != nil {
			t.Fatal(err)
		}
	}
	got, found, err := s.Invocation(t.Context(), "inv")
	if err != nil || !found {
		t.Fatalf("found %v, error %v", found, err)
	}
	want := store.Invocation{
		ID: "inv", Build: "b", Command: "build", Started: started, ExitCode: "SUCCESS", Finished: true,
		Status: map[string]string{"A": "1", "B": "2"}, Metadata: map[string]string{"C": "3"},
		Flags: map[string]string{"remote_cache": "", "disk_cache": "set"}, Unsent: store.Unsent{Digests: []string{"ab"}, Code: "UNAVAILABLE"},
	}
	if got.Seen.IsZero() {
		t.Error("nobody knows when the daemon first heard of it")
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Invocation{}, "Seen")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, found, err := s.Invocation(t.Context(), "other"); found || err != nil {
		t.Errorf("an unknown invocation: found %v, error %v", found, err)
	}
}

func whatIsRememberedIsKeptUntilTheStreamHasEnded(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	for _, records := range [][][]byte{{[]byte("one"), []byte("two")}, {[]byte("three")}} {
		if err := s.Remember(t.Context(), "inv", "", records); err != nil {
			t.Fatal(err)
		}
	}
	remembered := func() [][]byte {
		t.Helper()
		got, err := s.Remembered(t.Context(), "inv")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if diff := cmp.Diff([][]byte{[]byte("one"), []byte("two"), []byte("three")}, remembered()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := s.SaveInvocation(t.Context(), store.Invocation{ID: "inv", Finished: true}); err != nil {
		t.Fatal(err)
	}
	if got := remembered(); len(got) != 0 {
		t.Errorf("%d records after the end, want none", len(got))
	}
}

func aDrainLetsJobsFinish(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 1))
	begun, goOn := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, Worker(func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
			close(begun)
			<-goOn
			if ctx.Err() != nil {
				return ledger.Entry{}, ctx.Err()
			}
			return Pushed(ctx, job, attempt)
		}), 1)
	}()
	<-begun
	cancel()
	close(goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := len(Entries(t, s, ledger.Query{})); got != 1 {
		t.Errorf("%d rows after the drain, want 1", got)
	}
}

func aDrainGivesBackWhatDoesNotFinish(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{DrainTimeout: 100 * time.Millisecond, MaxAttempts: 1})
	Enqueue(t, s, Jobs("inv", 1))
	begun := make(chan struct{})
	stop := Run(t, s, func(ctx context.Context, _ store.Job, _ store.Attempt) (ledger.Entry, error) {
		close(begun)
		<-ctx.Done()
		return ledger.Entry{}, fmt.Errorf("haul: %w", ctx.Err())
	})
	<-begun
	stop()
	if got := pending(t, s); got != 1 {
		t.Fatalf("pending = %d, want 1", got)
	}
	Run(t, s, Pushed)
	Settled(t, s, "inv", 10*time.Second)
	if got := Entries(t, s, ledger.Query{})[0].Attempts; got != 1 {
		t.Errorf("the row counts %d attempts, want 1: an interrupted one is not counted", got)
	}
}
