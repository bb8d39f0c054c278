package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

// open opens a store in a new database.
func open(t *testing.T, driver sqldbtest.Driver, options Options) *Store {
	t.Helper()
	return openAt(t, driver.Migrated(t), options)
}

// openAt opens a store, and closes it when the test ends.
func openAt(t *testing.T, url string, options Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, quiet(t, options))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// verify seals the ledger and verifies it, with its own keys where none is given.
func verify(t *testing.T, s *Store, keys ...string) Report {
	t.Helper()
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := s.Verify(t.Context(), VerifyOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// quiet sends the log to the test, and makes retries quick.
func quiet(t *testing.T, options Options) Options {
	options.Logger = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	if options.Backoff == nil {
		options.Backoff = func(int) time.Duration { return 0 }
	}
	return options
}

// worker is a [Worker] made of a function.
type worker func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error)

func (w worker) Work(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
	return w(ctx, job, attempt)
}

// pushed says that all went well.
func pushed(_ context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
	return ledger.Entry{
		Outcome: ledger.Pushed, Registry: "registry.test", Repository: "app", Digest: "sha256:" + job.Target,
		Tags: []ledger.Tag{{Name: "latest"}}, Target: job.Target, InvocationID: job.Invocation, Attempts: attempt.Number,
	}, nil
}

// run works on jobs until the test, or the function that it returns, ends it.
func run(t *testing.T, s *Store, w worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, w, 8) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func jobs(invocation string, n int) []Job {
	list := make([]Job, n)
	for i := range list {
		list[i] = Job{
			Invocation: invocation,
			Target:     fmt.Sprintf("//app:push%d", i),
			Spec:       SpecRef{Function: "sha256", Hash: fmt.Sprintf("%064d", i), Size: 100},
		}
	}
	return list
}

func enqueue(t *testing.T, s *Store, list []Job) {
	t.Helper()
	if err := s.Enqueue(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

// settledWithin waits until no job of the invocation is pending.
func settledWithin(t *testing.T, s *Store, invocation string, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := s.Wait(ctx, invocation); err != nil {
		n, _ := s.Pending(t.Context(), invocation)
		t.Fatalf("%d jobs are pending after %s: %v", n, limit, err)
	}
}

func entries(t *testing.T, s *Store, q ledger.Query) []ledger.Entry {
	t.Helper()
	list, err := s.Entries(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func pending(t *testing.T, s *Store, invocation string) int {
	t.Helper()
	n, err := s.Pending(t.Context(), invocation)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestJobsEndInTheLedger(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, jobs("inv", 250))
		if got := pending(t, s, "inv"); got != 250 {
			t.Fatalf("pending = %d, want 250", got)
		}
		run(t, s, pushed)
		settledWithin(t, s, "inv", 30*time.Second)

		seen := map[string]bool{}
		for _, e := range entries(t, s, ledger.Query{Invocation: "inv", Limit: 1000}) {
			if seen[e.Target] {
				t.Errorf("%s has two rows", e.Target)
			}
			seen[e.Target] = true
		}
		if len(seen) != 250 {
			t.Errorf("%d targets have a row, want 250", len(seen))
		}
	})
}

func TestAStartThatIsCalledOffIsNoFailure(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ctx, worker(pushed), 1); err != nil {
			t.Errorf("error is %v", err)
		}
	})
}

func TestTheSameJobIsDoneOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		list := jobs("inv", 3)
		enqueue(t, s, append(list, list...))
		enqueue(t, s, list)
		run(t, s, pushed)
		settledWithin(t, s, "inv", 10*time.Second)
		enqueue(t, s, list)
		if got := pending(t, s, "inv"); got != 0 {
			t.Errorf("pending = %d after a replay of what was done, want 0", got)
		}
		if got := entries(t, s, ledger.Query{}); len(got) != 3 {
			t.Errorf("%d rows, want 3", len(got))
		}
	})
}

func TestSpecsThatComeWithTheStreamAreKept(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		list := jobs("inv", 3)
		for i := range list {
			spec := bytes.Repeat([]byte{byte(i), 0, 0xff}, 1<<20)
			list[i].Spec = SpecRef{Inline: spec}
		}
		enqueue(t, s, list)
		enqueue(t, s, list)
		var mu sync.Mutex
		kept := 0
		run(t, s, func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
			mu.Lock()
			defer mu.Unlock()
			if len(job.Spec.Inline) == 3<<20 && job.Spec.Inline[2] == 0xff {
				kept++
			}
			return pushed(ctx, job, attempt)
		})
		settledWithin(t, s, "inv", 10*time.Second)
		if kept != 3 {
			t.Errorf("%d specs came as they were, want 3", kept)
		}
	})
}

func TestAFailedAttemptIsTriedAgain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, jobs("inv", 1))
		var numbers []int
		var texts []string
		run(t, s, func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
			numbers = append(numbers, attempt.Number)
			if attempt.Number < 3 {
				return ledger.Entry{}, &RetryError{Class: "throttled", Err: fmt.Errorf("registry said no, time %d", attempt.Number)}
			}
			for _, f := range attempt.Failures {
				texts = append(texts, f.Class+": "+f.Text)
			}
			return pushed(ctx, job, attempt)
		})
		settledWithin(t, s, "inv", 10*time.Second)
		if diff := cmp.Diff([]int{1, 2, 3}, numbers); diff != "" {
			t.Errorf("attempt numbers (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"throttled: registry said no, time 1", "throttled: registry said no, time 2"}, texts); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
	})
}

func TestARetryComesNoSoonerThanAsked(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, jobs("inv", 1))
		var times []time.Time
		run(t, s, func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
			times = append(times, time.Now())
			if attempt.Number == 1 {
				return ledger.Entry{}, &RetryError{After: 700 * time.Millisecond, Err: errors.New("too many requests")}
			}
			return pushed(ctx, job, attempt)
		})
		settledWithin(t, s, "inv", 15*time.Second)
		// The database keeps the time to the millisecond.
		if waited := times[1].Sub(times[0]); waited < 699*time.Millisecond {
			t.Errorf("tried again after %s, want 700ms at least", waited)
		}
	})
}

func TestThePostponedAttemptDoesNotCount(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{MaxAttempts: 2})
		enqueue(t, s, jobs("inv", 1))
		calls := 0
		run(t, s, func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
			if calls++; calls <= 5 {
				return ledger.Entry{}, &PostponeError{}
			}
			return pushed(ctx, job, attempt)
		})
		settledWithin(t, s, "inv", 10*time.Second)
		if got := entries(t, s, ledger.Query{})[0].Attempts; got != 1 {
			t.Errorf("the row counts %d attempts, want 1", got)
		}
	})
}

func TestTheLastAttemptEndsInARowWhateverTheWorkerDoes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		for name, broken := range map[string]worker{
			"error": func(context.Context, Job, Attempt) (ledger.Entry, error) {
				return ledger.Entry{}, errors.New("no route")
			},
			"panic": func(context.Context, Job, Attempt) (ledger.Entry, error) { panic("no route") },
		} {
			t.Run(name, func(t *testing.T) {
				s := open(t, driver, Options{MaxAttempts: 3})
				enqueue(t, s, jobs("inv", 1))
				run(t, s, broken)
				settledWithin(t, s, "inv", 10*time.Second)
				got := entries(t, s, ledger.Query{})
				if len(got) != 1 || got[0].Outcome != ledger.Failed || got[0].Attempts != 3 || got[0].Error == "" {
					t.Errorf("rows = %+v, want one that failed after 3 attempts", got)
				}
			})
		}
	})
}

func TestAnAttemptThatTakesTooLongIsAFailure(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{MaxAttempts: 2, JobTimeout: 50 * time.Millisecond})
		enqueue(t, s, jobs("inv", 1))
		run(t, s, func(ctx context.Context, _ Job, _ Attempt) (ledger.Entry, error) {
			<-ctx.Done()
			return ledger.Entry{}, ctx.Err()
		})
		settledWithin(t, s, "inv", 10*time.Second)
		if got := entries(t, s, ledger.Query{}); got[0].Outcome != ledger.Failed || got[0].Attempts != 2 {
			t.Errorf("row = %+v, want a failure after two attempts", got[0])
		}
	})
}

func TestInvocationsAreMerged(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		started := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		for _, news := range []Invocation{
			{ID: "inv", Build: "b", Started: started, Status: map[string]string{"A": "1"}},
			{ID: "inv", Command: "build", Status: map[string]string{"B": "2"}},
			{ID: "inv", ExitCode: "SUCCESS", Finished: true},
			{ID: "inv", Metadata: map[string]string{"C": "3"}},
			{ID: "inv", Flags: map[string]string{"remote_cache": ""}, Unsent: Unsent{Digests: []string{"ab"}}},
			{ID: "inv", Flags: map[string]string{"disk_cache": "set"}, Unsent: Unsent{Code: "UNAVAILABLE"}},
		} {
			if err := s.SaveInvocation(t.Context(), news); err != nil {
				t.Fatal(err)
			}
		}
		got, found, err := s.Invocation(t.Context(), "inv")
		if err != nil || !found {
			t.Fatalf("found %v, error %v", found, err)
		}
		want := Invocation{
			ID: "inv", Build: "b", Command: "build", Started: started, ExitCode: "SUCCESS", Finished: true,
			Status: map[string]string{"A": "1", "B": "2"}, Metadata: map[string]string{"C": "3"},
			Flags: map[string]string{"remote_cache": "", "disk_cache": "set"}, Unsent: Unsent{Digests: []string{"ab"}, Code: "UNAVAILABLE"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if _, found, err := s.Invocation(t.Context(), "other"); found || err != nil {
			t.Errorf("an unknown invocation: found %v, error %v", found, err)
		}
	})
}

func TestWhatIsRememberedIsKeptUntilTheStreamHasEnded(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		for _, records := range [][][]byte{{[]byte("one"), []byte("two")}, {[]byte("three")}} {
			if err := s.Remember(t.Context(), "inv", records); err != nil {
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
		if err := s.SaveInvocation(t.Context(), Invocation{ID: "inv", Finished: true}); err != nil {
			t.Fatal(err)
		}
		if got := remembered(); len(got) != 0 {
			t.Errorf("%d records after the end, want none", len(got))
		}
	})
}

func TestADrainLetsJobsFinish(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, jobs("inv", 1))
		begun, goOn := make(chan struct{}), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- s.Run(ctx, worker(func(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error) {
				close(begun)
				<-goOn
				if ctx.Err() != nil {
					return ledger.Entry{}, ctx.Err()
				}
				return pushed(ctx, job, attempt)
			}), 1)
		}()
		<-begun
		cancel()
		close(goOn)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := len(entries(t, s, ledger.Query{})); got != 1 {
			t.Errorf("%d rows after the drain, want 1", got)
		}
	})
}

func TestADrainGivesBackWhatDoesNotFinish(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{DrainTimeout: 100 * time.Millisecond, MaxAttempts: 1})
		enqueue(t, s, jobs("inv", 1))
		begun := make(chan struct{})
		stop := run(t, s, func(ctx context.Context, _ Job, _ Attempt) (ledger.Entry, error) {
			close(begun)
			<-ctx.Done()
			return ledger.Entry{}, fmt.Errorf("haul: %w", ctx.Err())
		})
		<-begun
		stop()
		if got := pending(t, s, "inv"); got != 1 {
			t.Fatalf("pending = %d, want 1", got)
		}
		run(t, s, pushed)
		settledWithin(t, s, "inv", 10*time.Second)
		if got := entries(t, s, ledger.Query{})[0].Attempts; got != 1 {
			t.Errorf("the row counts %d attempts, want 1: an interrupted one is not counted", got)
		}
	})
}
