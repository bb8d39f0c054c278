package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// gated is a worker that stages every image, and moves its tag when it is let.
type gated struct {
	store *store.Store
	gate  string
	// push, if set, ends a push instead.
	push Worker
	// tag, if set, is asked before a tag is moved.
	tag func(ctx context.Context, job store.Job) (ledger.Outcome, error)
}

// tagOf is the tag of a job's image.
func tagOf(job store.Job) string { return "tag-of-" + job.Target }

func (g gated) work(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	switch job.Action {
	case store.ActionTag:
		return g.move(ctx, job, attempt)
	case store.ActionRestore:
		return g.restore(ctx, job)
	case store.ActionPush:
	}
	if g.push != nil {
		return g.push(ctx, job, attempt)
	}
	return g.stage(job, attempt), nil
}

func (g gated) stage(job store.Job, attempt store.Attempt) ledger.Entry {
	digest := "sha256:" + job.Target
	attempt.Keep(digest, "manifest", []byte("manifest of "+job.Target))
	return ledger.Entry{
		Outcome: ledger.Staged, Gate: g.gate, Registry: "registry.test", Repository: "app", Digest: digest,
		HeldTags: []string{tagOf(job)}, SpecDigest: job.Spec.Digest(),
	}
}

func (g gated) move(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	entry, found, err := g.store.Entry(ctx, job.Entry)
	if err != nil || !found {
		return ledger.Entry{}, err
	}
	release, _, err := g.store.Release(ctx, job.Invocation)
	if err != nil {
		return ledger.Entry{}, err
	}
	entry.ID, entry.Time, entry.By = 0, time.Time{}, release.By
	if release.State != store.ReleaseOpen {
		entry.Outcome, entry.ErrorClass, entry.Error = ledger.Withheld, release.Class, release.Reason
		return entry, nil
	}
	names := append(entry.TagNames(), entry.HeldTags...)
	_, err = g.store.ClaimTags(ctx, attempt, store.TagClaim{
		Registry: entry.Registry, Repository: entry.Repository, Tags: names, Digest: entry.Digest, Target: job.Target, Invocation: job.Invocation, Started: monday,
	})
	if err != nil {
		return ledger.Entry{}, err
	}
	outcome := ledger.Pushed
	if g.tag != nil {
		if outcome, err = g.tag(ctx, job); err != nil {
			return ledger.Entry{}, err
		}
	}
	entry.Outcome, entry.ErrorClass, entry.Error = outcome, "", ""
	if outcome == ledger.Pushed {
		entry.Tags, entry.HeldTags = nil, nil
		for _, name := range names {
			entry.Tags = append(entry.Tags, ledger.Tag{Name: name, Previous: "sha256:before"})
		}
	}
	return entry, nil
}

func (g gated) restore(ctx context.Context, job store.Job) (ledger.Entry, error) {
	entry, found, err := g.store.Entry(ctx, job.Entry)
	if err != nil || !found {
		return ledger.Entry{}, err
	}
	entry.ID, entry.Time, entry.Outcome = 0, time.Time{}, ledger.RolledBack
	for i, tag := range entry.Tags {
		entry.Tags[i] = ledger.Tag{Name: tag.Name, Previous: entry.Digest, Digest: tag.Previous}
	}
	return entry, nil
}

// runGated works on jobs with a gate until the test, or the function that it returns, ends it.
func runGated(t *testing.T, g gated) (stop func()) {
	t.Helper()
	return Run(t, g.store, g.work)
}

// end saves the end of an invocation.
func end(t *testing.T, s *store.Store, invocation, exitCode string, absent ...store.Absent) {
	t.Helper()
	if err := s.SaveInvocation(t.Context(), store.Invocation{ID: invocation, ExitCode: exitCode, Finished: true, Absent: absent}); err != nil {
		t.Fatal(err)
	}
}

// outcomes are how the pushes of the invocation ended once none is pending.
func outcomes(t *testing.T, s *store.Store, invocation string) map[ledger.Outcome]int {
	t.Helper()
	Settled(t, s, invocation, 20*time.Second)
	counts, err := s.Outcomes(t.Context(), invocation)
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// are fails the test unless the pushes of the invocation have ended so.
func are(t *testing.T, s *store.Store, invocation string, want map[ledger.Outcome]int) {
	t.Helper()
	got := outcomes(t, s, invocation)
	same := len(got) == len(want)
	for outcome, n := range want {
		same = same && got[outcome] == n
	}
	if !same {
		t.Errorf("the pushes of %s ended as %v, want %v", invocation, got, want)
	}
}

// released is the release of the invocation "inv".
func released(t *testing.T, s *store.Store) store.Release {
	t.Helper()
	r, found, err := s.Release(t.Context(), "inv")
	if err != nil || !found || r.Invocation != "inv" {
		t.Fatalf("the release: found %t, %+v, error %v", found, r, err)
	}
	return r
}
