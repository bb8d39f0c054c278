package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// closedRegistry is a worker to whose registry nothing may go while it is closed.
type closedRegistry struct {
	closed  atomic.Bool
	retries bool
}

func (c *closedRegistry) work(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	switch {
	case !c.closed.Load():
		return Pushed(ctx, job, attempt)
	case c.retries:
		return ledger.Entry{}, &store.RetryError{After: time.Hour, Err: errors.New("503"), Registry: "registry.test"}
	}
	return ledger.Entry{}, &store.PostponeError{After: time.Hour, Registry: "registry.test"}
}

// wantWaiting waits until so many jobs wait for the registry.
func wantWaiting(t *testing.T, s *store.Store, want int) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(beginLimit)
	for {
		waits, err := s.RegistryWaits(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, w := range waits {
			if w.Registry == "registry.test" && w.Here {
				n += w.Jobs
			}
		}
		if n == want {
			return
		}
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("%d jobs wait for the registry, want %d", n, want)
		}
	}
}

func jobsThatWaitForARegistryAreWokenWhenItOpens(t *testing.T, driver sqldbtest.Driver) {
	for name, retries := range map[string]bool{"postponed": false, "retried": true} {
		t.Run(name, func(t *testing.T) {
			s := Open(t, driver, store.Options{})
			w := &closedRegistry{retries: retries}
			w.closed.Store(true)
			Enqueue(t, s, Jobs("inv", 5))
			Run(t, s, w.work)
			wantWaiting(t, s, 5)
			for selection, want := range map[store.Selection][]string{{Invocation: "inv"}: {"registry.test"}, {Invocation: "other"}: nil} {
				if got, err := s.WaitedFor(t.Context(), selection); err != nil || !cmp.Equal(got, want) {
					t.Errorf("%+v waits for %q, %v, want %q", selection, got, err, want)
				}
			}
			if n, err := s.WakeWaiting(t.Context(), "registry.test", store.Waiters{Here: true, Most: 1}); n != 1 || err != nil {
				t.Fatalf("%d were woken, error %v, want 1", n, err)
			}
			wantWaiting(t, s, 5) // the one that was woken waits again
			w.closed.Store(false)
			if err := s.SetRegistryMode(t.Context(), "registry.test", store.RegistryOpen, "someone"); err != nil {
				t.Fatal(err)
			}
			Settled(t, s, "inv", beginLimit)
			wantWaiting(t, s, 0)
			for _, e := range Entries(t, s, ledger.Query{Invocation: "inv"}) {
				if want := map[bool]int{false: 1, true: 2}[retries]; e.Attempts < want || !retries && e.Attempts > want {
					t.Errorf("%s took %d attempts", e.Target, e.Attempts)
				}
			}
		})
	}
}

func whatOperatorsSayOfARegistryIsKept(t *testing.T, driver sqldbtest.Driver) {
	at := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	s := Open(t, driver, store.Options{Clock: func() time.Time { return at }})
	if err := s.LiftPauses(t.Context(), "a.test", "ada"); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []store.RegistryMode{store.RegistryDrained, store.RegistryBlocked} {
		if err := s.SetRegistryMode(t.Context(), "b.test", mode, "bob"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.RegistryStates(t.Context())
	want := []store.RegistryState{
		{Registry: "a.test", Mode: store.RegistryOpen, Client: "ada", Since: at, Lifted: at},
		{Registry: "b.test", Mode: store.RegistryBlocked, Client: "bob", Since: at},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}
