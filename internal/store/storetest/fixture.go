package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// Open opens a store in a new database, and closes it when the test ends.
func Open(t *testing.T, driver sqldbtest.Driver, options store.Options) *store.Store {
	t.Helper()
	return OpenAt(t, driver.Migrated(t), options)
}

// OpenAt opens the store at url, and closes it when the test ends. Its log goes to
// the test, and retries come at once.
func OpenAt(t *testing.T, url string, options store.Options) *store.Store {
	t.Helper()
	options.Logger = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	if options.Backoff == nil {
		options.Backoff = func(int) time.Duration { return 0 }
	}
	s, err := store.Open(t.Context(), url, options)
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

// Worker is a [store.Worker] made of a function.
type Worker func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error)

// Work implements [store.Worker].
func (w Worker) Work(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	return w(ctx, job, attempt)
}

// Pushed says that all went well.
func Pushed(_ context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	return ledger.Entry{
		Outcome: ledger.Pushed, Registry: "registry.test", Repository: "app", Digest: "sha256:" + job.Target,
		Tags: []ledger.Tag{{Name: "latest"}}, Target: job.Target, InvocationID: job.Invocation, Attempts: attempt.Number,
	}, nil
}

// Run works on jobs until the test, or the function that it returns, ends it.
func Run(t *testing.T, s *store.Store, worker Worker) (stop func()) {
	t.Helper()
	return runWith(t, s, worker, 8)
}

func runWith(t *testing.T, s *store.Store, worker Worker, workers int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, worker, workers) }()
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

// Jobs are n jobs of an invocation.
func Jobs(invocation string, n int) []store.Job {
	list := make([]store.Job, n)
	for i := range list {
		list[i] = store.Job{
			Invocation: invocation,
			Target:     fmt.Sprintf("//app:push%d", i),
			Spec:       store.SpecRef{Function: "sha256", Hash: fmt.Sprintf("%064d", i), Size: 100},
		}
	}
	return list
}

// Enqueue makes jobs durable.
func Enqueue(t *testing.T, s *store.Store, list []store.Job) {
	t.Helper()
	if err := s.Enqueue(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

// Settled waits until no job of the invocation is pending.
func Settled(t *testing.T, s *store.Store, invocation string, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := s.Wait(ctx, invocation); err != nil {
		n, _ := s.Pending(t.Context(), invocation)
		t.Fatalf("%d jobs are pending after %s: %v", n, limit, err)
	}
}

// Entries are the rows that the query asks for.
func Entries(t *testing.T, s *store.Store, q ledger.Query) []ledger.Entry {
	t.Helper()
	list, err := s.Entries(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// pending counts the jobs of the invocation "inv" that have not ended.
func pending(t *testing.T, s *store.Store) int {
	t.Helper()
	n, err := s.Pending(t.Context(), "inv")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Verify seals the ledger and verifies it, with its own keys where none is given.
func Verify(t *testing.T, s *store.Store, keys ...string) store.Report {
	t.Helper()
	if _, err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	report, err := s.Verify(t.Context(), store.VerifyOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return report
}
