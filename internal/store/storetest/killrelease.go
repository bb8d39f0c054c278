package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// tagsEnv makes a victim one whose tags wait at a gate: it holds the folder that they are
// kept in.
const tagsEnv = "DRAYAGE_TEST_TAGS"

// gatedJobs is how many pushes a build of the gated victim has, each with one tag.
const gatedJobs = 20

// tagFolder is a registry that outlives its daemon: a file for each tag, which holds the
// digest that the tag points to.
type tagFolder string

// before is what tags of the folder point to before a build.
const before = "sha256:before"

func (f tagFolder) path(name string) string {
	return filepath.Join(string(f), strings.NewReplacer("/", "_", ":", "_").Replace(name))
}

func (f tagFolder) read(name string) string {
	digest, err := os.ReadFile(f.path(name))
	if err != nil {
		return before
	}
	return string(digest)
}

// write is atomic, as a registry's is.
func (f tagFolder) write(name, digest string) error {
	if err := os.WriteFile(f.path(name)+".new", []byte(digest), 0o600); err != nil {
		return err
	}
	return os.Rename(f.path(name)+".new", f.path(name))
}

// folderWorker is a gated worker whose tags are files. It says when it has done something.
type folderWorker struct {
	gated
	tags tagFolder
	say  func(what string)
}

func (w folderWorker) work(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	switch job.Action {
	case store.ActionPush:
		entry := w.stage(job, attempt)
		entry.Repository = job.Invocation
		w.say("staged")
		return entry, nil
	case store.ActionTag:
		return w.move(ctx, job, attempt)
	case store.ActionRestore:
	}
	return w.restore(ctx, job, attempt)
}

func (w folderWorker) move(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	entry, _, err := w.store.Entry(ctx, job.Entry)
	if err != nil {
		return ledger.Entry{}, err
	}
	release, _, err := w.store.Release(ctx, job.Invocation)
	if err != nil {
		return ledger.Entry{}, err
	}
	entry.ID, entry.Time = 0, time.Time{}
	if release.State != store.ReleaseOpen {
		entry.Outcome, entry.ErrorClass = ledger.Withheld, release.Class
		return entry, nil
	}
	name := entry.HeldTags[0]
	file := job.Invocation + " " + name
	grant, err := w.store.ClaimTags(ctx, attempt, store.TagClaim{
		Registry: entry.Registry, Repository: entry.Repository, Tags: entry.HeldTags, Digest: entry.Digest, Target: job.Target,
		Invocation: job.Invocation, Started: monday, Previous: map[string]string{name: w.tags.read(file)},
	})
	if err != nil {
		return ledger.Entry{}, err
	}
	w.say("claimed")
	if err := w.tags.write(file, entry.Digest); err != nil {
		return ledger.Entry{}, err
	}
	w.say("moved")
	entry.Outcome, entry.HeldTags = ledger.Pushed, nil
	entry.Tags = []ledger.Tag{{Name: name, Previous: grant.Previous[name]}}
	return entry, nil
}

func (w folderWorker) restore(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	entry, _, err := w.store.Entry(ctx, job.Entry)
	if err != nil {
		return ledger.Entry{}, err
	}
	grant, err := w.store.ClaimTags(ctx, attempt, store.TagClaim{
		Registry: entry.Registry, Repository: entry.Repository, Tags: append(entry.TagNames(), entry.HeldTags...), Digest: entry.Digest, Target: job.Target,
		Invocation: job.Invocation, Started: monday, Restore: true,
	})
	if err != nil {
		return ledger.Entry{}, err
	}
	tags := entry.Tags
	for _, name := range entry.HeldTags {
		if previous, touched := grant.Previous[name]; touched {
			tags = append(tags, ledger.Tag{Name: name, Previous: previous})
		}
	}
	entry.ID, entry.Time, entry.Outcome, entry.HeldTags, entry.Tags = 0, time.Time{}, ledger.RolledBack, nil, nil
	for _, tag := range tags {
		file := job.Invocation + " " + tag.Name
		if w.tags.read(file) != entry.Digest {
			continue
		}
		if err := w.tags.write(file, tag.Previous); err != nil {
			return ledger.Entry{}, err
		}
		entry.Tags = append(entry.Tags, ledger.Tag{Name: tag.Name, Previous: entry.Digest, Digest: tag.Previous})
	}
	return entry, nil
}

// gatedVictim is a build whose tags wait for its end, and a daemon that moves them.
func gatedVictim(url string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, url, store.Options{Logger: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel)})
	if err != nil {
		return err
	}
	worker := folderWorker{gated{store: s, gate: "green"}, tagFolder(os.Getenv(tagsEnv)), func(what string) { fmt.Println(what) }}
	failed := make(chan error, 1)
	go func() { failed <- s.Run(ctx, Worker(worker.work), 4) }()
	round := os.Getenv(roundEnv)
	if err := s.Enqueue(ctx, Jobs(round, gatedJobs)); err != nil {
		return err
	}
	if err := s.SaveInvocation(ctx, store.Invocation{ID: round, ExitCode: "SUCCESS", Finished: true}); err != nil {
		return err
	}
	fmt.Println("ended")
	return <-failed
}

// All tags of a build move, or after a rollback none has, whenever its daemon is killed.
func aKillLeavesNoReleaseHalfDone(t *testing.T, driver sqldbtest.Driver, kills int) {
	random := rand.New(rand.NewPCG(20261127, uint64(kills)))
	url, folder := driver.Empty(t), tagFolder(t.TempDir())
	for i := range kills {
		round := fmt.Sprintf("gated%d", i)
		// It says three lines a push, and one more. Most kills are among the last.
		lines := 1 + random.IntN(3*gatedJobs)
		kill(t, []string{victimEnv + "=" + url, roundEnv + "=" + round, tagsEnv + "=" + string(folder)}, lines)
		s := OpenAt(t, url, store.Options{})
		Enqueue(t, s, Jobs(round, gatedJobs)) // Bazel sends it all once more
		end(t, s, round, "SUCCESS")
		pointTo := func(want func(i int) string) {
			t.Helper()
			for i, job := range Jobs(round, gatedJobs) {
				if got := folder.read(round + " " + tagOf(job)); got != want(i) {
					t.Errorf("%s, killed after %d lines: the tag of %s points to %q, want %q", round, lines, job.Target, got, want(i))
				}
			}
		}
		if i%2 == 1 {
			rollBack(t, s, round) // at once, whatever has become of the tags
		}
		stop := Run(t, s, folderWorker{gated{store: s, gate: "green"}, folder, func(string) {}}.work)
		if i%2 == 0 {
			are(t, s, round, tally{ledger.Pushed: gatedJobs})
			pointTo(func(i int) string { return "sha256:" + Jobs(round, gatedJobs)[i].Target })
			rollBack(t, s, round)
		}
		got := outcomes(t, s, round)
		if got[ledger.RolledBack]+got[ledger.Withheld] != gatedJobs {
			t.Errorf("%s, killed after %d lines, then rolled back: the pushes ended as %v", round, lines, got)
		}
		pointTo(func(int) string { return before })
		stop()
		if err := s.Close(); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	s := OpenAt(t, url, store.Options{})
	if report := Verify(t, s); len(report.Problems) > 0 || report.Waiting > 0 {
		t.Errorf("the ledger after all kills: %+v", report)
	}
}
