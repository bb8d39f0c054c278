package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

func whatIsMissingShows(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 2))
	for range 2 { // a replay adds nothing
		err := s.SaveInvocation(t.Context(), store.Invocation{ID: "inv", Absent: []store.Absent{
			{Target: "//b:push", State: ledger.ExpectedAborted, Reason: "analysis failed"},
			{Target: "//a:push", Configuration: "k8", State: ledger.ExpectedIncomplete},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Cancel(t.Context(), store.Selection{Target: "//app:push1"}); err != nil || n != 1 {
		t.Fatalf("cancelled %d, error %v", n, err)
	}
	got, err := s.Expected(t.Context(), "inv")
	if err != nil {
		t.Fatal(err)
	}
	list := Jobs("inv", 2)
	want := []ledger.Expected{
		{Target: "//app:push0", State: ledger.ExpectedPending, SpecDigest: list[0].Spec.Digest()},
		{Target: "//app:push1", State: ledger.ExpectedEnded, Outcome: ledger.Cancelled, SpecDigest: list[1].Spec.Digest()},
		{Target: "//a:push", Configuration: "k8", State: ledger.ExpectedIncomplete},
		{Target: "//b:push", State: ledger.ExpectedAborted, Reason: "analysis failed"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(ledger.Expected{}, "Found", "Job", "Entry")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := pending(t, s); got != 1 {
		t.Errorf("pending = %d, want 1: nobody waits for what is absent", got)
	}
}

func twoInvocationsAreCompared(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	row := func(invocation, target, digest string) ledger.Entry {
		return ledger.Entry{InvocationID: invocation, Target: target, Digest: digest, Outcome: ledger.Pushed, Registry: "r", Repository: "app"}
	}
	write(t, s,
		row("one", "//same", "sha256:a"), row("one", "//changed", "sha256:b"), row("one", "//removed", "sha256:c"),
		row("two", "//same", "sha256:a"), row("two", "//changed", "sha256:x"), row("two", "//added", "sha256:d"))
	got, err := s.Compare(t.Context(), "one", "two")
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]ledger.Change{}
	for _, d := range got {
		changes[d.Target] = d.Change
	}
	want := map[string]ledger.Change{"//same": ledger.Same, "//changed": ledger.Changed, "//removed": ledger.Removed, "//added": ledger.Added}
	if diff := cmp.Diff(want, changes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func invocationsAreListedByPage(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	for i, id := range []string{"a", "b", "c"} {
		if err := s.SaveInvocation(t.Context(), store.Invocation{ID: id, Started: monday.Add(time.Duration(i) * time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	var last *store.Invocation
	for {
		page, err := s.Invocations(t.Context(), last, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, i := range page {
			ids = append(ids, i.ID)
		}
		last = &page[len(page)-1]
	}
	if diff := cmp.Diff([]string{"c", "b", "a"}, ids); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
