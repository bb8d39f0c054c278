package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

type tally = map[ledger.Outcome]int

// releases are the behaviours of tags that wait at a gate.
func releases() []behaviour {
	return []behaviour{
		{"gated tags wait for the end of the build and move together", gatedTagsWaitForTheEndOfTheBuildAndMoveTogether},
		{"gated tags do not move if", gatedTagsDoNotMoveIf},
		{"a push that ended badly keeps all tags back until it is requeued", aPushThatEndedBadlyKeepsAllTagsBackUntilItIsRequeued},
		{"a push that is found late gets its tags", aPushThatIsFoundLateGetsItsTags},
		{"a manifest is kept until its tags are written", aManifestIsKeptUntilItsTagsAreWritten},
		{"an approved release moves when it is promoted", anApprovedReleaseMovesWhenItIsPromoted},
		{"a promotion can come before the end of the build", aPromotionCanComeBeforeTheEndOfTheBuild},
		{"a rejected release stays closed", aRejectedReleaseStaysClosed},
		{"a withheld build is promoted only by who may and if it is whole", aWithheldBuildIsPromotedOnlyByWhoMayAndIfItIsWhole},
		{"a stream that comes back releases its tags", aStreamThatComesBackReleasesItsTags},
		{"a release that waits for too long is closed", aReleaseThatWaitsForTooLongIsClosed},
		{"two daemons release each build once", twoDaemonsReleaseEachBuildOnce},
		{"what cannot be decided is said", whatCannotBeDecidedIsSaid},
		{"a rollback puts back what has moved", aRollbackPutsBackWhatHasMoved},
		{"a rollback reaches what is being written", aRollbackReachesWhatIsBeingWritten},
		{"a build without a gate is rolled back as well", aBuildWithoutAGateIsRolledBackAsWell},
		{"a rolled back build can be promoted", aRolledBackBuildCanBePromoted},
		{"a failed tagging job is repeated as one", aFailedTaggingJobIsRepeatedAsOne},
		{"a cancelled tagging job says which image it is", aCancelledTaggingJobSaysWhichImageItIs},
		{"1300 gated tags become jobs in one go", manyGatedTagsBecomeJobsInOneGo},
	}
}

func gatedTagsWaitForTheEndOfTheBuildAndMoveTogether(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	begin(t, s, "inv")
	Enqueue(t, s, Jobs("inv", 3))
	runGated(t, gated{store: s, gate: "green"})
	are(t, s, "inv", tally{ledger.Staged: 3})
	if r := released(t, s); r.State != store.ReleaseWaiting || r.Blocked || r.Class != "building" || r.Gate != "green" {
		t.Errorf("while the build goes on the release is %+v", r)
	}
	end(t, s, "inv", "SUCCESS")
	are(t, s, "inv", tally{ledger.Pushed: 3})
	if r := released(t, s); r.State != store.ReleaseOpen || r.Decided.IsZero() || r.By != "" {
		t.Errorf("after the build the release is %+v", r)
	}
	if rows := Entries(t, s, ledger.Query{Invocation: "inv"}); len(rows) != 6 {
		t.Errorf("%d rows, want one for each staged image and one for each tag", len(rows))
	}
	if rows := Entries(t, s, ledger.Query{Tag: "tag-of-//app:push0"}); len(rows) != 1 || rows[0].Outcome != ledger.Pushed {
		t.Errorf("the tag's rows are %+v, want the one that wrote it", rows)
	}
}

func gatedTagsDoNotMoveIf(t *testing.T, driver sqldbtest.Driver) {
	for name, row := range map[string]struct {
		exit   string
		absent []store.Absent
		class  string
	}{
		"a test fails":             {exit: "TESTS_FAILED", class: "red"},
		"there is no exit code":    {class: "red"},
		"a target does not build":  {exit: "SUCCESS", absent: []store.Absent{{Target: "//:x", State: ledger.ExpectedUnbuilt}}, class: "incomplete"},
		"a target is not heard of": {exit: "SUCCESS", absent: []store.Absent{{Target: "//:x", State: ledger.ExpectedAwaited}}, class: "incomplete"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Open(t, driver, store.Options{})
			begin(t, s, "inv")
			Enqueue(t, s, Jobs("inv", 2))
			runGated(t, gated{store: s, gate: "green"})
			Settled(t, s, "inv", 20*time.Second)
			end(t, s, "inv", row.exit, row.absent...)
			are(t, s, "inv", tally{ledger.Withheld: 2})
			if r := released(t, s); r.State != store.ReleaseClosed || r.Class != row.class || r.Reason == "" {
				t.Errorf("the release is %+v, want closed as %s", r, row.class)
			}
			if rows := Entries(t, s, ledger.Query{Tag: "tag-of-//app:push0"}); len(rows) > 0 {
				t.Errorf("the tag finds %+v, which did not write it", rows)
			}
		})
	}
	t.Run("the exit code is not one of those that count", func(t *testing.T) {
		s := Open(t, driver, store.Options{Green: []string{"SUCCESS", "TESTS_FAILED"}})
		Enqueue(t, s, append(Jobs("red", 1), Jobs("green", 1)...))
		end(t, s, "red", "BUILD_FAILURE")
		end(t, s, "green", "TESTS_FAILED")
		runGated(t, gated{store: s, gate: "green"})
		are(t, s, "red", tally{ledger.Withheld: 1})
		are(t, s, "green", tally{ledger.Pushed: 1})
	})
	t.Run("Bazel did not load a target", func(t *testing.T) {
		s := Open(t, driver, store.Options{})
		Enqueue(t, s, Jobs("inv", 1))
		if err := s.SaveInvocation(t.Context(), store.Invocation{ID: "inv", ExitCode: "SUCCESS", Finished: true, Unconfigured: 1}); err != nil {
			t.Fatal(err)
		}
		runGated(t, gated{store: s, gate: "green"})
		are(t, s, "inv", tally{ledger.Withheld: 1})
	})
}

func aPushThatEndedBadlyKeepsAllTagsBackUntilItIsRequeued(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 50))
	end(t, s, "inv", "SUCCESS")
	var refused atomic.Bool
	refused.Store(true)
	g := gated{store: s, gate: "green"}
	g.push = func(_ context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		if job.Target == "//app:push7" && refused.Load() {
			return ledger.Entry{Outcome: ledger.Denied}, nil
		}
		return g.stage(job, attempt), nil
	}
	runGated(t, g)
	are(t, s, "inv", tally{ledger.Staged: 49, ledger.Denied: 1})
	r := released(t, s)
	if r.State != store.ReleaseWaiting || !r.Blocked || !strings.Contains(r.Reason, "//app:push7 (denied)") {
		t.Errorf("the release is %+v, want blocked by the push that was denied", r)
	}
	refused.Store(false)
	if n, _, err := s.Requeue(t.Context(), store.Selection{Invocation: "inv"}); err != nil || n != 1 {
		t.Fatalf("requeued %d, error %v", n, err)
	}
	are(t, s, "inv", tally{ledger.Pushed: 50})
}

func aPushThatIsFoundLateGetsItsTags(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	begin(t, s, "open")
	begin(t, s, "closed")
	runGated(t, gated{store: s, gate: "green"})
	for invocation, row := range map[string]struct {
		exit string
		want ledger.Outcome
	}{"open": {"SUCCESS", ledger.Pushed}, "closed": {"INTERRUPTED", ledger.Withheld}} {
		Enqueue(t, s, Jobs(invocation, 1))
		end(t, s, invocation, row.exit)
		are(t, s, invocation, tally{row.want: 1})
		Enqueue(t, s, Jobs(invocation, 3))
		are(t, s, invocation, tally{row.want: 3})
	}
}

func aManifestIsKeptUntilItsTagsAreWritten(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	keeps := func() bool {
		t.Helper()
		kept, found, err := s.KeptManifest(t.Context(), "sha256://app:push0")
		if err != nil {
			t.Fatal(err)
		}
		if found && (kept.MediaType != "manifest" || string(kept.Data) != "manifest of //app:push0") {
			t.Errorf("what is kept is %+v", kept)
		}
		return found
	}
	for _, invocation := range []string{"first", "second"} { // the same image
		begin(t, s, invocation)
		Enqueue(t, s, Jobs(invocation, 1))
	}
	runGated(t, gated{store: s, gate: "green"})
	Settled(t, s, "first", 20*time.Second)
	Settled(t, s, "second", 20*time.Second)
	if !keeps() {
		t.Error("the manifest of a staged image is not kept")
	}
	end(t, s, "first", "SUCCESS")
	are(t, s, "first", tally{ledger.Pushed: 1})
	if !keeps() {
		t.Error("the manifest is gone although another build needs it")
	}
	end(t, s, "second", "SUCCESS")
	are(t, s, "second", tally{ledger.Pushed: 1})
	if keeps() {
		t.Error("the manifest is kept although nobody needs it")
	}
}

func anApprovedReleaseMovesWhenItIsPromoted(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 2))
	end(t, s, "inv", "SUCCESS")
	runGated(t, gated{store: s, gate: "approved"})
	are(t, s, "inv", tally{ledger.Staged: 2})
	if r := released(t, s); !r.Blocked || r.Class != "approval" || !strings.Contains(r.Reason, "drayage promote inv") {
		t.Errorf("the release is %+v, want it to wait for approval", r)
	}
	r, err := s.Promote(t.Context(), store.Decision{Invocation: "inv", By: "anna"})
	if err != nil || r.State != store.ReleaseOpen || r.By != "anna" {
		t.Errorf("promoted: %+v, error %v", r, err)
	}
	are(t, s, "inv", tally{ledger.Pushed: 2})
	if rows := Entries(t, s, ledger.Query{Outcome: ledger.Pushed}); rows[0].By != "anna" {
		t.Errorf("the row says that %q decided", rows[0].By)
	}
	refusal(t, "have been released")(s.Promote(t.Context(), store.Decision{Invocation: "inv", By: "anna"}))
	refusal(t, "roll it back")(s.Reject(t.Context(), store.Decision{Invocation: "inv", By: "anna"}))
}

// refusal wants a decision to be refused with a text.
func refusal(t *testing.T, text string) func(store.Release, error) {
	t.Helper()
	return func(_ store.Release, err error) {
		t.Helper()
		if refused, ok := errors.AsType[*store.DecisionError](err); !ok || !strings.Contains(refused.Text, text) {
			t.Errorf("the error is %v, want a refusal that says %q", err, text)
		}
	}
}

func aPromotionCanComeBeforeTheEndOfTheBuild(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	begin(t, s, "inv")
	Enqueue(t, s, Jobs("inv", 2))
	runGated(t, gated{store: s, gate: "approved"})
	Settled(t, s, "inv", 20*time.Second)
	r, err := s.Promote(t.Context(), store.Decision{Invocation: "inv", By: "anna"})
	if err != nil || r.State != store.ReleaseWaiting || r.Blocked {
		t.Errorf("promoted: %+v, error %v; want it to wait for the build", r, err)
	}
	end(t, s, "inv", "SUCCESS")
	are(t, s, "inv", tally{ledger.Pushed: 2})
	if r := released(t, s); r.By != "anna" {
		t.Errorf("the release is %+v, want it to say who approved", r)
	}
}

func aRejectedReleaseStaysClosed(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	begin(t, s, "inv")
	Enqueue(t, s, Jobs("inv", 2))
	runGated(t, gated{store: s, gate: "green"})
	Settled(t, s, "inv", 20*time.Second)
	r, err := s.Reject(t.Context(), store.Decision{Invocation: "inv", By: "anna", Reason: "the wrong branch"})
	if err != nil || r.State != store.ReleaseClosed || r.Class != "rejected" || r.Reason != "the wrong branch" || r.By != "anna" {
		t.Errorf("rejected: %+v, error %v", r, err)
	}
	end(t, s, "inv", "SUCCESS")
	are(t, s, "inv", tally{ledger.Withheld: 2})
	refusal(t, "the wrong branch")(s.Promote(t.Context(), store.Decision{Invocation: "inv", By: "ben"}))
}

func aWithheldBuildIsPromotedOnlyByWhoMayAndIfItIsWhole(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	for _, invocation := range []string{"whole", "part"} {
		begin(t, s, invocation)
		Enqueue(t, s, Jobs(invocation, 2))
	}
	runGated(t, gated{store: s, gate: "green"})
	Settled(t, s, "whole", 20*time.Second)
	Settled(t, s, "part", 20*time.Second)
	end(t, s, "whole", "TESTS_FAILED")
	end(t, s, "part", "BUILD_FAILURE", store.Absent{Target: "//:x", State: ledger.ExpectedUnbuilt})
	are(t, s, "whole", tally{ledger.Withheld: 2})
	are(t, s, "part", tally{ledger.Withheld: 2})
	if n, _, err := s.Requeue(t.Context(), store.Selection{All: true}); err != nil || n != 0 {
		t.Errorf("requeued %d, error %v; what is withheld is promoted and not requeued", n, err)
	}
	refusal(t, "TESTS_FAILED")(s.Promote(t.Context(), store.Decision{Invocation: "whole"}))
	refusal(t, "nothing came of //:x")(s.Promote(t.Context(), store.Decision{Invocation: "part", Override: true}))
	if r, err := s.Promote(t.Context(), store.Decision{Invocation: "whole", By: "anna", Override: true}); err != nil || r.State != store.ReleaseOpen || r.By != "anna" {
		t.Errorf("promoted: %+v, error %v", r, err)
	}
	are(t, s, "whole", tally{ledger.Pushed: 2})
}

func aStreamThatComesBackReleasesItsTags(t *testing.T, driver sqldbtest.Driver) {
	c := newClock()
	s := Open(t, driver, store.Options{Clock: c.now, StreamLimit: time.Minute})
	begin(t, s, "inv")
	Enqueue(t, s, Jobs("inv", 2))
	runGated(t, gated{store: s, gate: "green"})
	are(t, s, "inv", tally{ledger.Staged: 2})
	c.add(2 * time.Minute)
	brokenOff(t, s, "inv")
	are(t, s, "inv", tally{ledger.Withheld: 2})
	if r := released(t, s); r.Class != "broken-off" {
		t.Errorf("the release is %+v, want it closed since the stream broke off", r)
	}
	begin(t, s, "inv") // its client has come back
	Enqueue(t, s, Jobs("inv", 3))
	are(t, s, "inv", tally{ledger.Withheld: 3})
	end(t, s, "inv", "SUCCESS")
	are(t, s, "inv", tally{ledger.Pushed: 3})
}

func aReleaseThatWaitsForTooLongIsClosed(t *testing.T, driver sqldbtest.Driver) {
	c := newClock()
	s := Open(t, driver, store.Options{Clock: c.now, Retention: store.Retention{Staged: 48 * time.Hour}})
	Enqueue(t, s, Jobs("inv", 2))
	end(t, s, "inv", "SUCCESS")
	runGated(t, gated{store: s, gate: "approved"})
	are(t, s, "inv", tally{ledger.Staged: 2})
	c.add(49 * time.Hour)
	deadline := time.Now().Add(20 * time.Second)
	for released(t, s).State == store.ReleaseWaiting {
		if time.Now().After(deadline) {
			t.Fatal("the release waits for ever")
		}
	}
	are(t, s, "inv", tally{ledger.Withheld: 2})
	if r := released(t, s); r.Class != "expired" || !strings.Contains(r.Reason, "retention.staged") {
		t.Errorf("the release is %+v", r)
	}
}

func whatCannotBeDecidedIsSaid(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("plain", 1))
	end(t, s, "plain", "SUCCESS")
	unknown := store.Decision{Invocation: "nobody's"}
	for name, decide := range map[string]func(store.Decision) error{
		"promote":  func(d store.Decision) error { _, err := s.Promote(t.Context(), d); return err },
		"reject":   func(d store.Decision) error { _, err := s.Reject(t.Context(), d); return err },
		"rollback": func(d store.Decision) error { _, err := s.Rollback(t.Context(), d); return err },
	} {
		if err := decide(unknown); !errors.Is(err, store.ErrUnknownInvocation) {
			t.Errorf("%s of an unknown invocation: %v", name, err)
		}
	}
	refusal(t, "waits at a gate")(s.Promote(t.Context(), store.Decision{Invocation: "plain"}))
	refusal(t, "waits at a gate")(s.Reject(t.Context(), store.Decision{Invocation: "plain"}))
	if _, found, err := s.Release(t.Context(), "plain"); found || err != nil {
		t.Errorf("a build without a gate has a release: %t, error %v", found, err)
	}
	Run(t, s, func(context.Context, store.Job, store.Attempt) (ledger.Entry, error) {
		return ledger.Entry{Outcome: ledger.Denied}, nil
	})
	Settled(t, s, "plain", 20*time.Second)
	_, err := s.Rollback(t.Context(), store.Decision{Invocation: "plain"})
	refusal(t, "moved no tags")(store.Release{}, err)
	if _, found, err := s.Release(t.Context(), "plain"); found || err != nil {
		t.Errorf("a rollback that was refused leaves a release: %t, error %v", found, err)
	}
}

func twoDaemonsReleaseEachBuildOnce(t *testing.T, driver sqldbtest.Driver) {
	if !driver.Shared {
		t.Skip("this kind of database has one daemon")
	}
	const builds, pushes = 10, 20
	url := driver.Empty(t)
	one, other := OpenAt(t, url, store.Options{}), OpenAt(t, url, store.Options{})
	for _, s := range []*store.Store{one, other} {
		g := gated{store: s, gate: "green"}
		g.push = func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
			if job.Target == "//app:push0" { // it has no gate
				return Pushed(ctx, job, attempt)
			}
			entry := g.stage(job, attempt)
			entry.Repository = job.Invocation // the builds do not want each other's tags
			return entry, nil
		}
		runGated(t, g)
	}
	build := func(i int) string { return fmt.Sprintf("build%d", i) }
	var streams errgroup.Group
	for i := range builds {
		streams.Go(func() error {
			if err := one.Enqueue(t.Context(), Jobs(build(i), pushes)); err != nil {
				return err
			}
			return other.SaveInvocation(t.Context(), store.Invocation{ID: build(i), ExitCode: "SUCCESS", Finished: true})
		})
	}
	if err := streams.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range builds {
		are(t, one, build(i), tally{ledger.Pushed: pushes})
		rows := map[ledger.Outcome]int{}
		for _, e := range Entries(t, one, ledger.Query{Invocation: build(i), Limit: 1000}) {
			rows[e.Outcome]++
		}
		if rows[ledger.Staged] != pushes-1 || rows[ledger.Pushed] != pushes {
			t.Errorf("%s has rows %v, want one for each staged image and one for each tag", build(i), rows)
		}
	}
}
