package store

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

// running makes a job that is running, and gives its attempt.
func running(t *testing.T, s *Store, invocation string) Attempt {
	t.Helper()
	enqueue(t, s, jobs(invocation, 1))
	var job int64
	err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
		if _, err := sqldb.QueryRow(ctx, tx, `SELECT job_id FROM expected WHERE invocation_id = ?`, []any{invocation}, &job); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'running', attempt = 1 WHERE id = ?`, job)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return Attempt{Number: 1, Max: 2, job: job, run: 1}
}

// ends settles a job as the worker's entry says.
func ends(t *testing.T, s *Store, attempt Attempt, invocation string, outcome ledger.Outcome) {
	t.Helper()
	end := s.judge(t.Context(), Job{Invocation: invocation, Target: "//a"}, attempt, s.now(), ledger.Entry{Outcome: outcome}, nil)
	if err := s.settlements.do(t.Context(), invocation, 1, end); err != nil {
		t.Fatal(err)
	}
}

var (
	monday  = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	tuesday = time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)
)

func claimOf(build string, started time.Time, tags ...string) TagClaim {
	return TagClaim{Registry: "r.test", Repository: "app", Tags: tags, Digest: "sha256:" + build, Invocation: build, Started: started}
}

func TestAnOlderBuildLeavesANewerOnesTagAlone(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		newer, older := running(t, s, "newer"), running(t, s, "older")
		grant, err := s.ClaimTags(t.Context(), newer, claimOf("newer", tuesday, "latest", "tuesday"))
		if err != nil || len(grant.Tags) != 2 || len(grant.Superseded) != 0 {
			t.Fatalf("grant %+v, error %v", grant, err)
		}

		var postponed *PostponeError
		if _, err := s.ClaimTags(t.Context(), older, claimOf("older", monday, "latest", "monday")); !errors.As(err, &postponed) || postponed.After <= 0 {
			t.Fatalf("a tag that is being written: %v, want a postponement", err)
		}
		ends(t, s, newer, "newer", ledger.Pushed)

		grant, err = s.ClaimTags(t.Context(), older, claimOf("older", monday, "latest", "monday"))
		if err != nil {
			t.Fatal(err)
		}
		want := []SupersededTag{{Name: "latest", Digest: "sha256:newer", Invocation: "newer", Started: tuesday}}
		if diff := cmp.Diff(want, grant.Superseded); diff != "" {
			t.Errorf("superseded (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"monday"}, grant.Tags); diff != "" {
			t.Errorf("granted (-want +got):\n%s", diff)
		}
	})
}

func TestABuildThatFailedSupersedesNothing(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		newer, older := running(t, s, "newer"), running(t, s, "older")
		if _, err := s.ClaimTags(t.Context(), newer, claimOf("newer", tuesday, "latest")); err != nil {
			t.Fatal(err)
		}
		ends(t, s, newer, "newer", ledger.Failed)
		grant, err := s.ClaimTags(t.Context(), older, claimOf("older", monday, "latest"))
		if err != nil || len(grant.Tags) != 1 {
			t.Errorf("grant %+v, error %v; want the tag", grant, err)
		}
	})
}

func TestALeaseEndsWithItsTime(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		now := monday
		s := open(t, driver, Options{Clock: func() time.Time { return now }})
		first, second := running(t, s, "first"), running(t, s, "second")
		if _, err := s.ClaimTags(t.Context(), first, claimOf("first", monday, "latest")); err != nil {
			t.Fatal(err)
		}
		now = now.Add(tagLease)
		if grant, err := s.ClaimTags(t.Context(), second, claimOf("second", monday, "latest")); err != nil || len(grant.Tags) != 1 {
			t.Errorf("grant %+v, error %v; want the tag", grant, err)
		}
		// The first has no lease any more that its end could turn into a claim.
		ends(t, s, first, "first", ledger.Pushed)
		ends(t, s, second, "second", ledger.Pushed)
		third := running(t, s, "third")
		grant, err := s.ClaimTags(t.Context(), third, claimOf("third", monday.Add(-time.Hour), "latest"))
		if err != nil || len(grant.Superseded) != 1 || grant.Superseded[0].Invocation != "second" {
			t.Errorf("grant %+v, error %v; want superseded by the second", grant, err)
		}
	})
}

func TestTheSameDigestIsNeverSuperseded(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		newer, older := running(t, s, "newer"), running(t, s, "older")
		if _, err := s.ClaimTags(t.Context(), newer, claimOf("newer", tuesday, "latest")); err != nil {
			t.Fatal(err)
		}
		ends(t, s, newer, "newer", ledger.Pushed)
		claim := claimOf("older", monday, "latest")
		claim.Digest = "sha256:newer"
		if grant, err := s.ClaimTags(t.Context(), older, claim); err != nil || len(grant.Tags) != 1 {
			t.Errorf("grant %+v, error %v; want the tag", grant, err)
		}
	})
}

// wants is a claim of one build's target for the tag latest.
func wants(target, image string) TagClaim {
	claim := claimOf("build", monday, "latest")
	claim.Target, claim.Digest = target, "sha256:"+image
	return claim
}

// pushes has a target of the build push an image, and returns what it was granted.
func pushes(t *testing.T, s *Store, target, image string) TagGrant {
	t.Helper()
	attempt := running(t, s, target+image+rand.Text())
	grant, err := s.ClaimTags(t.Context(), attempt, wants(target, image))
	if err != nil {
		t.Fatal(err)
	}
	entry := ledger.Entry{Outcome: ledger.Pushed}
	if len(grant.Conflicts) > 0 {
		entry = ledger.Entry{Outcome: ledger.Failed, ErrorClass: ledger.ClassConflict}
	}
	end := s.judge(t.Context(), Job{Invocation: "build", Target: target}, attempt, s.now(), entry, nil)
	if err := s.settlements.do(t.Context(), "build", 1, end); err != nil {
		t.Fatal(err)
	}
	return grant
}

func TestOfTwoTargetsThatWantOneTagTheFirstLabelHasItWhicheverComesFirst(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		pushes(t, s, "//a", "1")
		grant := pushes(t, s, "//b", "2")
		if diff := cmp.Diff([]ConflictingTag{{Name: "latest", Target: "//a", Digest: "sha256:1"}}, grant.Conflicts); diff != "" || len(grant.Tags) != 0 {
			t.Errorf("the second label comes second: tags %v, conflicts (-want +got):\n%s", grant.Tags, diff)
		}
	})
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		pushes(t, s, "//b", "2")
		grant := pushes(t, s, "//a", "1")
		if diff := cmp.Diff([]ConflictingTag{{Name: "latest", Target: "//b", Digest: "sha256:2", Ours: true}}, grant.Conflicts); diff != "" || len(grant.Tags) != 1 {
			t.Errorf("the first label comes second: tags %v, conflicts (-want +got):\n%s", grant.Tags, diff)
		}
		// It has the tag from now on.
		if grant := pushes(t, s, "//b", "2"); len(grant.Tags) != 0 || len(grant.Conflicts) != 1 || grant.Conflicts[0].Target != "//a" {
			t.Errorf("once more: %+v", grant)
		}
		if grant := pushes(t, s, "//a", "1"); len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
			t.Errorf("the first label once more: %+v", grant)
		}
	})
}

// The last is the image that the tag is at.
func TestATagEndsUpAtOneImageInWhateverOrderItsTargetsCome(t *testing.T) {
	targets := []struct{ target, image string }{{"//a", "1"}, {"//b", "2"}, {"//c", "1"}, {"//a", "9"}}
	orders := permutations(len(targets))
	for _, order := range orders {
		s := openAt(t, filepath.Join(t.TempDir(), "drayage.db"), Options{})
		at := ""
		for _, i := range order {
			if grant := pushes(t, s, targets[i].target, targets[i].image); len(grant.Tags) > 0 {
				at = targets[i].image
			}
		}
		if at != "1" {
			t.Errorf("in the order %v the tag ends up at %s", order, at)
		}
	}
	if len(orders) != 24 {
		t.Errorf("%d orders were tried", len(orders))
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

func TestTwoTargetsOfOneImageShareATagAndOtherBuildsAreNoConflict(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		for _, target := range []string{"//a", "//b", "//a"} {
			if grant := pushes(t, s, target, "1"); len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
				t.Errorf("%s: %+v", target, grant)
			}
		}
		later := running(t, s, "later")
		claim := claimOf("later", tuesday, "latest")
		claim.Target = "//z"
		if grant, err := s.ClaimTags(t.Context(), later, claim); err != nil || len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
			t.Errorf("another build: %+v, error %v", grant, err)
		}
	})
}

func TestATargetThatLosesATagGetsNoOther(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		pushes(t, s, "//a", "1")
		loser, other := running(t, s, "loser"), running(t, s, "other")
		claim := wants("//b", "2")
		claim.Tags = []string{"latest", "b"}
		if grant, err := s.ClaimTags(t.Context(), loser, claim); err != nil || len(grant.Tags) != 0 || len(grant.Conflicts) != 1 {
			t.Errorf("grant %+v, error %v", grant, err)
		}
		// The tag that it did not get is not leased to it either.
		claim = wants("//c", "3")
		claim.Tags = []string{"b"}
		if grant, err := s.ClaimTags(t.Context(), other, claim); err != nil || len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
			t.Errorf("grant %+v, error %v", grant, err)
		}
	})
}

func TestATagThatIsBeingWrittenIsWaitedForByTheOtherTarget(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		first, second := running(t, s, "first"), running(t, s, "second")
		if _, err := s.ClaimTags(t.Context(), second, wants("//b", "2")); err != nil {
			t.Fatal(err)
		}
		var postponed *PostponeError
		if _, err := s.ClaimTags(t.Context(), first, wants("//a", "1")); !errors.As(err, &postponed) {
			t.Errorf("the error is %v, want a postponement", err)
		}
		ends(t, s, second, "build", ledger.Failed) // for a reason of its own: it has pushed nothing
		if grant, err := s.ClaimTags(t.Context(), first, wants("//a", "1")); err != nil || len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
			t.Errorf("grant %+v, error %v", grant, err)
		}
	})
}
