package dispatch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// newTagging is the world of a job that does something to a row.
func newTagging(t *testing.T, action store.Action, release store.Release) (*world, string) {
	t.Helper()
	w, root := newWorld(t, "latest", "v1")
	w.release = &release
	w.row = &ledger.Entry{
		ID: 7, Outcome: ledger.Staged, Gate: "green", HeldTags: []string{"latest", "v1"},
		Registry: "ghcr.io", Repository: "acme/app", Digest: root,
		Manifests: []ledger.Manifest{{Digest: root, MediaType: string(types.OCIManifestSchema1)}},
		Uploaded:  ledger.Count{Blobs: 3, Bytes: 30}, Requests: 9,
	}
	w.kept = store.StagedManifest{MediaType: string(types.OCIManifestSchema1), Data: []byte("{}")}
	w.result = haul.Result{Tags: []haul.Tag{{Name: "latest", Previous: "sha256:old"}, {Name: "v1"}}, Right: []string{"latest", "v1"}, Requests: 4}
	w.change = func(j *store.Job) { j.Action, j.Entry = action, 7 }
	return w, root
}

func TestTagsMoveOnceTheReleaseIsOpen(t *testing.T) {
	w, root := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseOpen, By: "token:boss"})
	w.terms = admission.Terms{KeepTags: []string{"v1"}, ReadBack: []string{"latest"}}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := ledger.Entry{
		Outcome: ledger.Pushed, Gate: "green", By: "token:boss",
		Registry: "ghcr.io", Repository: "acme/app", Digest: root, Manifests: w.row.Manifests,
		Tags:     []ledger.Tag{{Name: "latest", Previous: "sha256:old"}, {Name: "v1"}},
		Requests: 4,
	}
	ignore := cmpopts.IgnoreFields(ledger.Entry{}, "Time", "Attempts", "Target", "SpecDigest", "BuildID", "InvocationID", "Command", "BazelVersion",
		"ExitCode", "Commit", "Branch", "Dirty", "Metadata", "Client", "DaemonVersion")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("the row (-want +got):\n%s", diff)
	}
	if got.Target != "//app:push" || got.ExitCode != "SUCCESS" {
		t.Errorf("the row is of %s, %s", got.Target, got.ExitCode)
	}
	asked := haul.Retag{Registry: "ghcr.io", Repository: "acme/app", Root: w.retag.Root, Tags: []string{"latest", "v1"}, KeepTags: []string{"v1"},
		ReadBack: []string{"latest"}, Invocation: "invocation"}
	if diff := cmp.Diff(asked, *w.retag, cmpopts.IgnoreFields(haul.Retag{}, "Claims")); diff != "" || w.retag.Root.Digest.String() != root || string(w.retag.Root.Data) != "{}" {
		t.Errorf("asked for %+v (-want +got):\n%s", w.retag.Root, diff)
	}
	if diff := cmp.Diff(admission.Push{Client: "ci", Target: "//app:push", Repository: "ghcr.io/acme/app", Tags: []string{"latest", "v1"}}, w.push); diff != "" {
		t.Errorf("the policy was asked (-want +got):\n%s", diff)
	}
}

func TestTagsThatPointedThereAlreadyArePresent(t *testing.T) {
	w, _ := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseOpen})
	w.result.AlreadyThere = true
	if got, err := w.work(t, 1); err != nil || got.Outcome != ledger.Present {
		t.Errorf("the outcome is %s, error %v", got.Outcome, err)
	}
}

func TestTagsThatMustNotBeWrittenOverAreKeptUntilTheyMove(t *testing.T) {
	w, _ := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseOpen})
	w.row.NeverOverwrite = true
	if _, err := w.work(t, 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"latest", "v1"}, w.retag.KeepTags); diff != "" {
		t.Errorf("kept tags (-want +got):\n%s", diff)
	}
}

func TestTagsOfAClosedReleaseAreWithheld(t *testing.T) {
	w, root := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseClosed, Class: "red", Reason: "the build ended with TESTS_FAILED", By: "token:boss"})
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Withheld || got.ErrorClass != "red" || got.Error != "the build ended with TESTS_FAILED" || got.By != "token:boss" ||
		got.Digest != root || got.Gate != "green" || len(got.Tags) > 0 || got.Uploaded.Blobs > 0 {
		t.Errorf("the row is %+v", got)
	}
	if diff := cmp.Diff([]string{"latest", "v1"}, got.HeldTags); diff != "" || w.retag != nil {
		t.Errorf("a tag was moved: %t; held tags (-want +got):\n%s", w.retag != nil, diff)
	}
}

func TestAReleaseThatWaitsAgainIsWaitedFor(t *testing.T) {
	w, _ := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseWaiting})
	_, err := w.work(t, 1)
	if _, postponed := errors.AsType[*store.PostponeError](err); !postponed || w.retag != nil {
		t.Errorf("error is %v", err)
	}
}

func TestThePolicyIsAskedAgainWhenTagsMove(t *testing.T) {
	w, _ := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseOpen})
	shut, err := admission.New(admission.Policy{Rules: []admission.Rule{}})
	if err != nil {
		t.Fatal(err)
	}
	_, w.denied = shut.Admit(admission.Push{Client: "ci"})
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Denied || got.ErrorClass != "policy" || !strings.HasPrefix(got.Error, "move the tags of //app:push in ghcr.io/acme/app: the daemon's policy") || w.retag != nil {
		t.Errorf("the row is %s, %s: %s", got.Outcome, got.ErrorClass, got.Error)
	}
	if diff := cmp.Diff([]string{"latest", "v1"}, got.HeldTags); diff != "" {
		t.Errorf("held tags (-want +got):\n%s", diff)
	}
}

// What tags pointed to before the first of several runs is what a rollback needs.
func TestTheFirstPreviousDigestIsInTheRow(t *testing.T) {
	w, root := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseOpen})
	w.result.Tags[0].Previous = root // as a run before this one has left it
	w.previous = map[string]string{"latest": "sha256:before", "v1": ""}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"latest": root, "v1": ""}, w.claim.Previous); diff != "" {
		t.Errorf("the store was told (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]ledger.Tag{{Name: "latest", Previous: "sha256:before"}, {Name: "v1"}}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestTheRowOfATaggingThatFailsSaysWhichTagsAreWritten(t *testing.T) {
	w, _ := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseOpen})
	w.retagErr, w.result.Right = &haul.Error{Class: haul.Denied, Text: "tag v1: no"}, []string{"latest"}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Denied || got.Error != "move the tags of //app:push in ghcr.io/acme/app: tag v1: no" {
		t.Errorf("the row is %s: %s", got.Outcome, got.Error)
	}
	if diff := cmp.Diff([]ledger.Tag{{Name: "latest", Previous: "sha256:old"}}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"v1"}, got.HeldTags); diff != "" {
		t.Errorf("held tags (-want +got):\n%s", diff)
	}
}

func TestAnImageThatTheRegistryLostIsHauledAgainWithItsTags(t *testing.T) {
	w, _ := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseOpen})
	w.retagErr = &haul.Error{Class: haul.Unavailable, Text: "gone", Err: fmt.Errorf("lost: %w", haul.ErrGone)}
	w.result.Uploaded = haul.Count{Blobs: 1, Bytes: 10}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Pushed || w.request.Stage || got.Uploaded.Blobs != 1 || got.Requests != 8 || len(got.Tags) != 2 || len(got.Manifests) != 1 {
		t.Errorf("the row is %+v", got)
	}
	if diff := cmp.Diff([]string{"latest", "v1"}, w.request.Tags); diff != "" {
		t.Errorf("hauled with the tags (-want +got):\n%s", diff)
	}
}

func TestAPromoteAfterANewerBuildSaysHowToHaveTheTagAllTheSame(t *testing.T) {
	w, _ := newTagging(t, store.ActionTag, store.Release{State: store.ReleaseOpen, By: "token:boss"})
	w.newer = []store.SupersededTag{{Name: "latest", Digest: "sha256:new", Invocation: "later"}}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Superseded || !strings.Contains(got.Error, "run drayage fence lift ghcr.io/acme/app:latest") {
		t.Errorf("the row is %s: %s", got.Outcome, got.Error)
	}
}

func TestARollbackIsARow(t *testing.T) {
	w, root := newTagging(t, store.ActionRestore, store.Release{State: store.ReleaseClosed, Class: "rolled-back", By: "token:boss"})
	w.row.Outcome, w.row.HeldTags = ledger.Pushed, nil
	w.row.Tags = []ledger.Tag{{Name: "latest", Previous: "sha256:old"}, {Name: "v1"}, {Name: "v2", Previous: "sha256:old"}}
	w.restored = haul.Restored{
		Tags: []haul.Tag{{Name: "latest", Previous: "sha256:old"}, {Name: "v1"}}, Left: []string{"tag v2 was left alone: it points to sha256:x by now"}, Requests: 5,
	}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.RolledBack || got.Digest != root || got.By != "token:boss" || got.Requests != 5 || got.Error != w.restored.Left[0] {
		t.Errorf("the row is %+v", got)
	}
	want := []ledger.Tag{{Name: "latest", Previous: root, Digest: "sha256:old"}, {Name: "v1", Previous: root, Digest: "none"}}
	if diff := cmp.Diff(want, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	asked := []haul.Tag{{Name: "latest", Previous: "sha256:old"}, {Name: "v1"}, {Name: "v2", Previous: "sha256:old"}}
	if diff := cmp.Diff(asked, w.restore.Tags); diff != "" || w.restore.Digest.String() != root {
		t.Errorf("asked of %s for (-want +got):\n%s", w.restore.Digest, diff)
	}
	if !w.claim.Restore || w.claim.Digest != root || w.claim.Previous != nil {
		t.Errorf("the claim is %+v", w.claim)
	}
}

func TestARollbackThatFailsSaysWhatWentBack(t *testing.T) {
	w, root := newTagging(t, store.ActionRestore, store.Release{State: store.ReleaseClosed, Class: "rolled-back"})
	w.row.Tags = []ledger.Tag{{Name: "latest", Previous: "sha256:old"}, {Name: "v1"}}
	w.restored = haul.Restored{Tags: []haul.Tag{{Name: "latest", Previous: "sha256:old"}}}
	w.restoreErr = &haul.Error{Class: haul.Rejected, Text: "tag v1: no"}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Failed || got.Error != "roll back the tags of //app:push in ghcr.io/acme/app: tag v1: no" ||
		len(got.Tags) != 1 || got.Tags[0] != (ledger.Tag{Name: "latest", Previous: root, Digest: "sha256:old"}) {
		t.Errorf("the row is %+v", got)
	}
}
