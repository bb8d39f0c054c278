package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

var (
	monday  = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	tuesday = time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
)

func claimOf(build string, started time.Time, tags ...string) store.TagClaim {
	return store.TagClaim{Registry: "r.test", Repository: "app", Tags: tags, Digest: "sha256:" + build, Invocation: build, Started: started}
}

func anOlderBuildLeavesANewerOnesTagAlone(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	newer, older := h.Begin(t, "newer"), h.Begin(t, "older")
	grant, err := s.ClaimTags(t.Context(), newer, claimOf("newer", tuesday, "latest", "tuesday"))
	if err != nil || len(grant.Tags) != 2 || len(grant.Superseded) != 0 {
		t.Fatalf("grant %+v, error %v", grant, err)
	}

	_, err = s.ClaimTags(t.Context(), older, claimOf("older", monday, "latest", "monday"))
	if postponed, ok := errors.AsType[*store.PostponeError](err); !ok || postponed.After <= 0 {
		t.Fatalf("a tag that is being written: %v, want a postponement", err)
	}
	h.End(t, newer, ledger.Entry{Outcome: ledger.Pushed})

	grant, err = s.ClaimTags(t.Context(), older, claimOf("older", monday, "latest", "monday"))
	if err != nil {
		t.Fatal(err)
	}
	want := []store.SupersededTag{{Name: "latest", Digest: "sha256:newer", Invocation: "newer", Started: tuesday}}
	if diff := cmp.Diff(want, grant.Superseded); diff != "" {
		t.Errorf("superseded (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"monday"}, grant.Tags); diff != "" {
		t.Errorf("granted (-want +got):\n%s", diff)
	}
}

func aBuildThatFailedSupersedesNothing(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	newer, older := h.Begin(t, "newer"), h.Begin(t, "older")
	if _, err := s.ClaimTags(t.Context(), newer, claimOf("newer", tuesday, "latest")); err != nil {
		t.Fatal(err)
	}
	h.End(t, newer, ledger.Entry{Outcome: ledger.Failed})
	grant, err := s.ClaimTags(t.Context(), older, claimOf("older", monday, "latest"))
	if err != nil || len(grant.Tags) != 1 {
		t.Errorf("grant %+v, error %v; want the tag", grant, err)
	}
}

func aLeaseEndsWithItsTime(t *testing.T, driver sqldbtest.Driver) {
	clock := newClock()
	s := Open(t, driver, store.Options{Clock: clock.now})
	h := NewHands(t, s)
	first, second := h.Begin(t, "first"), h.Begin(t, "second")
	if _, err := s.ClaimTags(t.Context(), first, claimOf("first", monday, "latest")); err != nil {
		t.Fatal(err)
	}
	clock.add(time.Minute) // over the lease
	if grant, err := s.ClaimTags(t.Context(), second, claimOf("second", monday, "latest")); err != nil || len(grant.Tags) != 1 {
		t.Errorf("grant %+v, error %v; want the tag", grant, err)
	}
	// The first has no lease any more that its end could turn into a claim.
	h.End(t, first, ledger.Entry{Outcome: ledger.Pushed})
	h.End(t, second, ledger.Entry{Outcome: ledger.Pushed})
	third := h.Begin(t, "third")
	grant, err := s.ClaimTags(t.Context(), third, claimOf("third", monday.Add(-time.Hour), "latest"))
	if err != nil || len(grant.Superseded) != 1 || grant.Superseded[0].Invocation != "second" {
		t.Errorf("grant %+v, error %v; want superseded by the second", grant, err)
	}
}

func theSameDigestIsNeverSuperseded(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	newer, older := h.Begin(t, "newer"), h.Begin(t, "older")
	if _, err := s.ClaimTags(t.Context(), newer, claimOf("newer", tuesday, "latest")); err != nil {
		t.Fatal(err)
	}
	h.End(t, newer, ledger.Entry{Outcome: ledger.Pushed})
	claim := claimOf("older", monday, "latest")
	claim.Digest = "sha256:newer"
	if grant, err := s.ClaimTags(t.Context(), older, claim); err != nil || len(grant.Tags) != 1 {
		t.Errorf("grant %+v, error %v; want the tag", grant, err)
	}
}

// wants is a claim of one build's target for tags.
func wants(target, image string, tags ...string) store.TagClaim {
	claim := claimOf("build", monday, tags...)
	claim.Target, claim.Digest = target, "sha256:"+image
	return claim
}

// push has a target of the build push an image under a tag, and returns what it
// was granted.
func (h *Hands) push(t *testing.T, target, image, tag string) store.TagGrant {
	t.Helper()
	attempt := h.Begin(t, target+image+rand.Text())
	grant, err := h.store.ClaimTags(t.Context(), attempt, wants(target, image, tag))
	if err != nil {
		t.Fatal(err)
	}
	entry := ledger.Entry{Outcome: ledger.Pushed}
	if len(grant.Conflicts) > 0 {
		entry = ledger.Entry{Outcome: ledger.Failed, ErrorClass: ledger.ClassConflict}
	}
	h.End(t, attempt, entry)
	return grant
}

func ofTwoTargetsThatWantOneTagTheFirstLabelHasItWhicheverComesFirst(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	h.push(t, "//a", "1", "latest")
	grant := h.push(t, "//b", "2", "latest")
	if diff := cmp.Diff([]store.ConflictingTag{{Name: "latest", Target: "//a", Digest: "sha256:1"}}, grant.Conflicts); diff != "" || len(grant.Tags) != 0 {
		t.Errorf("the second label comes second: tags %v, conflicts (-want +got):\n%s", grant.Tags, diff)
	}

	h.push(t, "//b", "2", "stable")
	grant = h.push(t, "//a", "1", "stable")
	if diff := cmp.Diff([]store.ConflictingTag{{Name: "stable", Target: "//b", Digest: "sha256:2", Ours: true}}, grant.Conflicts); diff != "" || len(grant.Tags) != 1 {
		t.Errorf("the first label comes second: tags %v, conflicts (-want +got):\n%s", grant.Tags, diff)
	}
	// It has the tag from now on.
	if grant := h.push(t, "//b", "2", "stable"); len(grant.Tags) != 0 || len(grant.Conflicts) != 1 || grant.Conflicts[0].Target != "//a" {
		t.Errorf("once more: %+v", grant)
	}
	if grant := h.push(t, "//a", "1", "stable"); len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
		t.Errorf("the first label once more: %+v", grant)
	}
}

func aTagEndsUpAtOneImageInWhateverOrderItsTargetsCome(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	targets := []struct{ target, image string }{{"//a", "1"}, {"//b", "2"}, {"//c", "1"}, {"//a", "9"}}
	for n, order := range permutations(len(targets)) {
		last := "" // the image that the tag is at
		for _, i := range order {
			if grant := h.push(t, targets[i].target, targets[i].image, fmt.Sprintf("order%d", n)); len(grant.Tags) > 0 {
				last = targets[i].image
			}
		}
		if last != "1" {
			t.Errorf("in the order %v the tag ends up at %s", order, last)
		}
	}
	if n := len(permutations(len(targets))); n != 24 {
		t.Errorf("%d orders were tried, want 24", n)
	}
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, shorter := range permutations(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(shorter), at, n-1))
		}
	}
	return all
}

func twoTargetsOfOneImageShareATagAndOtherBuildsAreNoConflict(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	for _, target := range []string{"//a", "//b", "//a"} {
		if grant := h.push(t, target, "1", "latest"); len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
			t.Errorf("%s: %+v", target, grant)
		}
	}
	later := h.Begin(t, "later")
	claim := claimOf("later", tuesday, "latest")
	claim.Target = "//z"
	if grant, err := s.ClaimTags(t.Context(), later, claim); err != nil || len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
		t.Errorf("another build: %+v, error %v", grant, err)
	}
}

func aTargetThatLosesATagGetsNoOther(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	h.push(t, "//a", "1", "latest")
	loser, other := h.Begin(t, "loser"), h.Begin(t, "other")
	claim := wants("//b", "2", "latest", "b")
	if grant, err := s.ClaimTags(t.Context(), loser, claim); err != nil || len(grant.Tags) != 0 || len(grant.Conflicts) != 1 {
		t.Errorf("grant %+v, error %v", grant, err)
	}
	// The tag that it did not get is not leased to it either.
	claim = wants("//c", "3", "b")
	if grant, err := s.ClaimTags(t.Context(), other, claim); err != nil || len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
		t.Errorf("grant %+v, error %v", grant, err)
	}
}

func aTagThatIsBeingWrittenIsWaitedForByTheOtherTarget(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	first, second := h.Begin(t, "first"), h.Begin(t, "second")
	if _, err := s.ClaimTags(t.Context(), second, wants("//b", "2", "latest")); err != nil {
		t.Fatal(err)
	}
	_, err := s.ClaimTags(t.Context(), first, wants("//a", "1", "latest"))
	if _, ok := errors.AsType[*store.PostponeError](err); !ok {
		t.Errorf("the error is %v, want a postponement", err)
	}
	h.End(t, second, ledger.Entry{Outcome: ledger.Failed}) // for a reason of its own: it has Pushed nothing
	if grant, err := s.ClaimTags(t.Context(), first, wants("//a", "1", "latest")); err != nil || len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
		t.Errorf("grant %+v, error %v", grant, err)
	}
}
