package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// begin saves an invocation that has only begun.
func begin(t *testing.T, s *store.Store, id string, absent ...store.Absent) {
	t.Helper()
	if err := s.SaveInvocation(t.Context(), store.Invocation{ID: id, Command: "build", Absent: absent}); err != nil {
		t.Fatal(err)
	}
}

func known(t *testing.T, s *store.Store, id string) store.Invocation {
	t.Helper()
	i, found, err := s.Invocation(t.Context(), id)
	if err != nil || !found {
		t.Fatalf("invocation %s: found %t, error %v", id, found, err)
	}
	return i
}

// brokenOff waits until the keeper has given up an invocation's stream.
func brokenOff(t *testing.T, s *store.Store, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if i, _, err := s.Invocation(ctx, id); err == nil && !i.BrokenOff.IsZero() {
			return
		}
	}
	t.Fatalf("the stream of %s is not broken off", id)
}

// goesOn waits until an invocation is not over. The clock may have leapt between two looks
// of the keeper's, who then is too quick.
func goesOn(t *testing.T, s *store.Store, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if i, _, err := s.Invocation(ctx, id); err == nil && !i.Over() {
			return
		}
	}
	t.Fatalf("the stream of %s is broken off although a daemon has it", id)
}

func aStreamThatAnotherDaemonHasGoesOn(t *testing.T, driver sqldbtest.Driver) {
	if !driver.Shared {
		t.Skip("this kind of database has one daemon")
	}
	c := newClock()
	url := driver.Empty(t)
	options := store.Options{Clock: c.now, StreamLimit: time.Minute}
	one, other := OpenAt(t, url, options), OpenAt(t, url, options)
	gone := one.Streaming("inv") // Bazel lost its way to one, and came back to the other
	begin(t, one, "inv")
	begin(t, one, "gone")
	other.Streaming("inv")
	gone()
	Run(t, one, Pushed)
	Run(t, other, Pushed)
	c.add(2 * time.Minute)
	brokenOff(t, one, "gone")
	goesOn(t, one, "inv")
}

func aStreamThatNoDaemonHasIsBrokenOffUntilItComesBack(t *testing.T, driver sqldbtest.Driver) {
	c := newClock()
	s := Open(t, driver, store.Options{Clock: c.now, StreamLimit: time.Minute})
	ended := s.Streaming("here")
	for _, id := range []string{"here", "gone", "done"} {
		begin(t, s, id)
	}
	if err := s.SaveInvocation(t.Context(), store.Invocation{ID: "done", Finished: true}); err != nil {
		t.Fatal(err)
	}
	Run(t, s, Pushed)
	c.add(2 * time.Minute)
	brokenOff(t, s, "gone")
	goesOn(t, s, "here")
	if i := known(t, s, "done"); !i.BrokenOff.IsZero() {
		t.Errorf("%+v is broken off although it finished", i)
	}

	begin(t, s, "gone") // its client has come back
	if i := known(t, s, "gone"); i.Over() {
		t.Errorf("%+v is over although it goes on", i)
	}

	ended()
	c.add(2 * time.Minute)
	brokenOff(t, s, "here")
}

func aStreamOfADaemonThatDiedIsBrokenOff(t *testing.T, driver sqldbtest.Driver) {
	c := newClock()
	url := driver.Empty(t)
	before, err := store.Open(t.Context(), url, store.Options{Clock: c.now})
	if err != nil {
		t.Fatal(err)
	}
	before.Streaming("inv")
	begin(t, before, "inv", store.Absent{Target: "//app:push", State: ledger.ExpectedAwaited})
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	c.add(time.Hour)
	after := OpenAt(t, url, store.Options{Clock: c.now})
	if n := missing(t, after); n != 0 {
		t.Errorf("%d pushes are missing while the build may go on", n)
	}
	Run(t, after, Pushed)
	brokenOff(t, after, "inv")
	if n := missing(t, after); n != 1 {
		t.Errorf("%d pushes are missing, want the one that was awaited", n)
	}
}

// missing counts what the invocation "inv" will not push.
func missing(t *testing.T, s *store.Store) int {
	t.Helper()
	n, err := s.Missing(t.Context(), "inv")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func aTargetIsAwaitedUntilItIsKnownWhatCameOfIt(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	awaited := func(target, configuration string) store.Absent {
		return store.Absent{Target: target, Configuration: configuration, State: ledger.ExpectedAwaited}
	}
	begin(t, s, "inv", awaited("//:built", "k8"), awaited("//:failed", "k8"), awaited("//:both", "k8"), awaited("//:both", "arm"), awaited("//:never", "k8"))
	begin(t, s, "inv",
		store.Absent{Target: "//:built", Configuration: "k8"},
		store.Absent{Target: "//:failed", Configuration: "k8", State: ledger.ExpectedUnbuilt, Reason: "no compiler"},
		store.Absent{Target: "//:both", Configuration: "k8"},
		awaited("//:at-once", "k8"), store.Absent{Target: "//:at-once", Configuration: "k8"},
		awaited("//:incompatible", "k8"), awaited("//:incompatible", "arm"), store.Absent{Target: "//:incompatible", State: ledger.ExpectedAborted})
	got, err := s.Expected(t.Context(), "inv")
	if err != nil {
		t.Fatal(err)
	}
	want := []ledger.Expected{
		{Target: "//:both", Configuration: "arm", State: ledger.ExpectedAwaited},
		{Target: "//:failed", Configuration: "k8", State: ledger.ExpectedUnbuilt, Reason: "no compiler"},
		{Target: "//:incompatible", State: ledger.ExpectedAborted},
		{Target: "//:never", Configuration: "k8", State: ledger.ExpectedAwaited},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := missing(t, s); n != 2 {
		t.Errorf("%d are missing while the build goes on, want the one that failed and the one that was given up", n)
	}
	if err := s.SaveInvocation(t.Context(), store.Invocation{ID: "inv", Finished: true}); err != nil {
		t.Fatal(err)
	}
	if n := missing(t, s); n != 4 {
		t.Errorf("%d are missing once the build has ended, want all four", n)
	}
}

func aTargetOfUnknownKindIsMissingIfItHasPushedBefore(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	write(t, s, ledger.Entry{InvocationID: "before", Target: "//:image", Outcome: ledger.Pushed, Registry: "r", Repository: "app"})
	unsure := func(target string) store.Absent {
		return store.Absent{Target: target, State: ledger.ExpectedUnbuilt, IfPushed: true}
	}
	begin(t, s, "inv", unsure("//:image"), unsure("//:layer"))
	got, err := s.Expected(t.Context(), "inv")
	if err != nil || len(got) != 1 || got[0].Target != "//:image" {
		t.Errorf("expected are %+v, error %v; want the image that was pushed before, and not the layer", got, err)
	}
}
