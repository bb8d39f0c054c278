package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// copyQueue makes a job of each copy that is asked for.
type copyQueue struct {
	store *store.Store

	mu    sync.Mutex
	asked []string
}

func (c *copyQueue) Copy(ctx context.Context, request copies.Request) (copies.Queued, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to := request.Destinations[0]
	c.asked = append(c.asked, fmt.Sprintf("%s to %s/%s:%s", request.From, to.Registry, to.Repository, strings.Join(to.Tags, ",")))
	if to.Registry == "closed.test" {
		return copies.Queued{}, errors.New("the registry is closed")
	}
	id := "copy-" + strings.ReplaceAll(to.Repository, "/", "-")
	err := c.store.SaveInvocation(ctx, store.Invocation{ID: id, Command: copies.Command, Finished: true, ExitCode: "SUCCESS"})
	if err == nil {
		err = c.store.Enqueue(ctx, []store.Job{{Invocation: id, Target: "copy of " + request.From.String(), Spec: store.SpecRef{Inline: []byte(to.Repository)}}})
	}
	return copies.Queued{Invocation: id, Digest: v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}, Jobs: 1}, err
}

func (c *copyQueue) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(slices.Values(c.asked))
}

// gated is a worker that stages what a build pushes, and does with the tags what the
// release says. It fails at what is called bad, and copies what is to be copied.
func (d *testDaemon) gated(ctx context.Context, job store.Job, _ store.Attempt) (ledger.Entry, error) {
	e := ledger.Entry{
		Outcome: ledger.Staged, Gate: "approved", Registry: "registry.test", Repository: "acme/" + strings.Trim(job.Target[:5], "/:"), Target: job.Target,
		InvocationID: job.Invocation, SpecDigest: job.Spec.Digest(), Digest: "sha256:" + job.Spec.Hash,
	}
	release, _, err := d.store.Release(ctx, job.Invocation)
	if err != nil {
		return e, err
	}
	before := "sha256:" + strings.Repeat("0", 64)
	switch {
	case strings.HasPrefix(job.Target, "copy of "):
		e.Outcome, e.Gate, e.Registry, e.Repository, e.Tags = ledger.Pushed, "", "copies.test", string(job.Spec.Inline), []ledger.Tag{{Name: "v1"}}
		e.Digest = before
	case strings.HasSuffix(job.Target, ":bad"):
		e.Outcome, e.Gate, e.Error = ledger.Failed, "", "push //app:bad: the registry is on fire"
	case job.Action == store.ActionPush:
		e.HeldTags = []string{"latest", "v1"}
	case job.Action == store.ActionRestore:
		e.Outcome, e.By = ledger.RolledBack, release.By
		e.Tags = []ledger.Tag{{Name: "latest", Previous: e.Digest, Digest: before}, {Name: "v1", Previous: e.Digest, Digest: "none"}}
		if job.Target == "//web:push" {
			e.Tags, e.Error = e.Tags[:1], "the tag v1 was left alone: it points to another image by now"
		}
	case release.State == store.ReleaseOpen:
		e.Outcome, e.By, e.Tags = ledger.Pushed, release.By, []ledger.Tag{{Name: "latest", Previous: before}, {Name: "v1"}}
	default:
		e.Outcome, e.By, e.HeldTags, e.ErrorClass, e.Error = ledger.Withheld, release.By, []string{"latest", "v1"}, release.Class, release.Reason
	}
	return e, nil
}

// stage has an invocation stage targets, and end with an exit code.
func (d *testDaemon) stage(t *testing.T, invocation, exitCode string, targets map[string]string) {
	t.Helper()
	d.enqueue(t, invocation, targets)
	d.work(t, invocation, d.gated)
	if exitCode == "" {
		return
	}
	if err := d.store.SaveInvocation(t.Context(), store.Invocation{ID: invocation, Finished: true, ExitCode: exitCode}); err != nil {
		t.Fatal(err)
	}
	d.work(t, invocation, d.gated)
}

// What differs from run to run.
var (
	progress = regexp.MustCompile(`(?m)^.*\b\d+ under way.*\n`)
	moment   = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	client   = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// session runs commands, and returns what a person sees of them, but for how far they are.
func session(t *testing.T, commands ...[]string) string {
	t.Helper()
	var shown strings.Builder
	for _, args := range commands {
		out, err := tool(t, args...)
		code := 0
		if err != nil {
			code = 1
		}
		if exit, ok := errors.AsType[*exitError](err); ok {
			code = exit.code
		}
		out = progress.ReplaceAllString(out, "")
		fmt.Fprintf(&shown, "$ drayage %s\n%s(exit code %d)\n\n", strings.Join(args, " "), out, code)
	}
	text := moment.ReplaceAllString(shown.String(), sameTime)
	return inOrder(client.ReplaceAllString(text, "127.0.0.1:1"))
}

// sameTime stands for every time.
const sameTime = "2026-03-02 09:30:00"

// inOrder sorts the rows of each table: jobs that are done side by side end in any order.
func inOrder(text string) string {
	lines := strings.Split(text, "\n")
	for begin := 0; begin < len(lines); begin++ {
		end := begin
		for end < len(lines) && strings.HasPrefix(lines[end], sameTime) {
			end++
		}
		slices.Sort(lines[begin:end])
		begin = max(begin, end-1)
	}
	return strings.Join(lines, "\n")
}

func TestReleasesAreDecidedAbout(t *testing.T) {
	d := newTestDaemonWith(t, time.Now)
	both := map[string]string{"//app:push": "a", "//web:push": "b"}
	d.stage(t, "good", "SUCCESS", both)
	d.stage(t, "red", "TESTS_FAILED", both)
	d.stage(t, "unwanted", "SUCCESS", both)
	d.stage(t, "running", "", both)
	d.during(t, d.gated, func() {
		golden(t, "release.golden", session(t,
			[]string{"wait", "good", "--until", "staged"},
			[]string{"wait", "good", "--timeout", "20ms"},
			[]string{"wait", "red"},
			[]string{"promote", "good", "nobody"},
			[]string{"wait", "good"},
			[]string{"promote", "running", "--reason", "it will be well"},
			[]string{"promote", "good"},
			[]string{"reject", "unwanted", "--reason", "the canary reports errors"},
			[]string{"reject", "good", "--reason", "too late"},
			[]string{"reject", "unwanted"},
			[]string{"wait", "unwanted"},
			[]string{"rollback", "good", "--reason", "it loses orders", "--wait"},
			[]string{"wait", "good"},
			[]string{"rollback", "red"},
			[]string{"promote", "red", "--wait"},
			[]string{"promote", "red", "-o", "xml"},
		))
	})
}

func TestWaitTellsProgramsWhatKeepsItsTagsBack(t *testing.T) {
	d := newTestDaemon(t)
	d.stage(t, "staged", "SUCCESS", map[string]string{"//app:push": "a"})
	d.stage(t, "red", "TESTS_FAILED", map[string]string{"//web:push": "b"})
	t.Setenv("GITHUB_OUTPUT", "")
	golden(t, "wait_staged.golden", session(t,
		[]string{"wait", "staged", "red", "--until", "staged", "-o", "env"},
		[]string{"wait", "staged", "red", "--until", "staged", "-o", "github"},
		[]string{"wait", "staged", "--until", "built"},
	))
}

func TestAReleaseThatAFailedPushHoldsBackIsWaitedForNoLonger(t *testing.T) {
	d := newTestDaemon(t)
	d.stage(t, "inv", "SUCCESS", map[string]string{"//app:push": "a", "//app:bad": "b"})
	out, code := waitTool(t, "inv")
	if code != 1 || !strings.Contains(out, "failed: 1 staged, 1 failed; the tags wait: not all that the build was to push is there: see //app:bad") {
		t.Errorf("wait ended with %d:\n%s", code, out)
	}
}

func TestPromoteToCopiesTheImagesOfABuild(t *testing.T) {
	d := newTestDaemon(t)
	d.stage(t, "inv", "SUCCESS", map[string]string{"//app:push": "a", "//web:push": "b"})
	d.stage(t, "running", "", map[string]string{"//app:push": "a"})
	d.stage(t, "broken", "SUCCESS", map[string]string{"//app:push": "a", "//app:bad": "c"})
	d.during(t, d.gated, func() {
		golden(t, "promote_to.golden", session(t,
			[]string{"promote", "inv", "--to", "production.test/{REPOSITORY}"},
			[]string{"promote", "broken", "--to", "production.test/only/app"},
			[]string{"promote", "inv", "--to", "production.test/one"},
			[]string{"promote", "inv", "--to", "production.test/{REPOSITORY}:v1"},
			[]string{"promote", "inv", "--to", "closed.test/{REPOSITORY}"},
			[]string{"promote", "inv", "--to", "production.test/{REPOSITORY}", "--reason", "why"},
			[]string{"promote", "running", "--to", "production.test/{REPOSITORY}"},
			[]string{"promote", "nobody", "--to", "production.test/{REPOSITORY}"},
		))
	})
	for want, n := range map[string]int{
		"registry.test/acme/app@sha256:" + strings.Repeat("a", 64) + " to production.test/acme/app:latest,v1": 1,
		"registry.test/acme/web@sha256:" + strings.Repeat("b", 64) + " to production.test/acme/web:latest,v1": 1,
		"registry.test/acme/app@sha256:" + strings.Repeat("a", 64) + " to production.test/only/app:latest,v1": 1,
	} {
		if got := len(slices.DeleteFunc(d.copied.list(), func(asked string) bool { return asked != want })); got != n {
			t.Errorf("%s was asked for %d times, want %d; asked was %q", want, got, n, d.copied.list())
		}
	}
}

func TestFencesAreShownAndLifted(t *testing.T) {
	d := newTestDaemon(t)
	d.enqueue(t, "inv", map[string]string{"//app:push": "a"})
	d.work(t, "inv", func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		e := ledger.Entry{
			Outcome: ledger.Pushed, Registry: "registry.test", Repository: "acme/app", Target: job.Target, Digest: "sha256:" + job.Spec.Hash,
			Tags: []ledger.Tag{{Name: "latest"}, {Name: "v1"}},
		}
		_, err := d.store.ClaimTags(ctx, attempt, store.TagClaim{
			Registry: e.Registry, Repository: e.Repository, Tags: []string{"latest", "v1"}, Digest: e.Digest, Invocation: job.Invocation, Target: job.Target,
			Started: time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC),
		})
		return e, err
	})
	golden(t, "fence.golden", session(t,
		[]string{"fence", "lift", "registry.test/acme/app:latest"},
		[]string{"fence", "lift", "registry.test/acme/app:latest"},
		[]string{"fence", "registry.test/acme/app"},
		[]string{"fence", "show", "registry.test/acme/app:v1", "-o", "json"},
		[]string{"fence", "registry.test/acme/other"},
		[]string{"fence", "lift", "registry.test/acme/app:none"},
		[]string{"fence", "lift", "registry.test/acme/app"},
		[]string{"fence", "registry.test/acme/app@sha256:" + strings.Repeat("a", 64)},
	))
}
