package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/ledger"
)

// running makes a job that is running, and gives its attempt.
func running(t *testing.T, s *Store, invocation string) Attempt {
	t.Helper()
	enqueue(t, s, jobs(invocation, 1))
	var job int64
	err := s.db.write(t.Context(), func(ctx context.Context, tx conn) error {
		if _, err := queryRow(ctx, tx, `SELECT job_id FROM expected WHERE invocation_id = ?`, []any{invocation}, &job); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `UPDATE river_job SET state = 'running', attempt = 1 WHERE id = ?`, job)
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
	if err := s.settled.do(t.Context(), invocation, 1, end); err != nil {
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
	onEach(t, func(t *testing.T, db place) {
		s := db.open(t, Options{})
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
	onEach(t, func(t *testing.T, db place) {
		s := db.open(t, Options{})
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
	onEach(t, func(t *testing.T, db place) {
		now := monday
		s := db.open(t, Options{Clock: func() time.Time { return now }})
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
	onEach(t, func(t *testing.T, db place) {
		s := db.open(t, Options{})
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
