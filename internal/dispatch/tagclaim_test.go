package dispatch_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

func TestTagOfANewerBuildIsLeftAloneAndTheRowSaysSo(t *testing.T) {
	w, _ := newWorld(t, "latest", "v1")
	w.newer = []store.SupersededTag{{Name: "latest", Digest: "sha256:new", Invocation: "later"}}
	w.result = haul.Result{Tags: []haul.Tag{{Name: "latest", Previous: "sha256:new"}, {Name: "v1"}}}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != ledger.Superseded || !strings.Contains(got.Error, "tag latest still points to sha256:new, which the newer invocation later has pushed") {
		t.Errorf("entry is %s: %s", got.Outcome, got.Error)
	}
	if diff := cmp.Diff([]ledger.Tag{{Name: "v1"}}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestATagThatAnotherTargetOfTheBuildHasIsAFailureThatNamesBoth(t *testing.T) {
	w, root := newWorld(t, "latest", "v1")
	w.conflicts = []store.ConflictingTag{{Name: "latest", Target: "//app:first", Digest: "sha256:other"}}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := "push //app:push to ghcr.io/acme/app: tag latest: //app:first of the same build wants it for another image, sha256:other; " +
		"it points to that image, and no tag of this target was written. The target whose label sorts first gets the tag: " +
		"give each target a tag or a repository of its own, or build only one of them"
	if got.Outcome != ledger.Failed || got.ErrorClass != "conflict" || got.Error != want {
		t.Errorf("entry is %s, %s:\n%s\nwant\n%s", got.Outcome, got.ErrorClass, got.Error, want)
	}
	claim := store.TagClaim{
		Registry: "ghcr.io", Repository: "acme/app", Tags: []string{"latest", "v1"}, Digest: root, Target: "//app:push", Invocation: "invocation", Started: w.now,
		Previous: map[string]string{"latest": "", "v1": ""},
	}
	if diff := cmp.Diff(claim, w.claim); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
}

func TestATagThatIsTakenFromAnotherTargetOfTheBuildIsAFailureToo(t *testing.T) {
	w, root := newWorld(t, "latest")
	w.conflicts = []store.ConflictingTag{{Name: "latest", Target: "//z:last", Digest: "sha256:other", Ours: true}}
	w.result = haul.Result{Tags: []haul.Tag{{Name: "latest", Previous: "sha256:other"}}}
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := "tag latest: //z:last of the same build wants it for another image, sha256:other; it pointed to that image, and points to this target's now, " + root
	if got.Outcome != ledger.Failed || got.ErrorClass != "conflict" || !strings.Contains(got.Error, want) {
		t.Errorf("entry is %s, %s: %s", got.Outcome, got.ErrorClass, got.Error)
	}
	if diff := cmp.Diff([]ledger.Tag{{Name: "latest", Previous: "sha256:other"}}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestTagsThatAreNotToBeWrittenOverAreTheBuildsOrThePolicys(t *testing.T) {
	for _, row := range []struct {
		overwrite pushspec.Overwrite
		terms     admission.Terms
		want      []string
	}{
		{"", admission.Terms{}, nil},
		{pushspec.OverwriteAlways, admission.Terms{}, nil},
		{pushspec.OverwriteAlways, admission.Terms{KeepTags: []string{"v1"}}, []string{"v1"}},
		{pushspec.OverwriteNever, admission.Terms{KeepTags: []string{"v1"}}, []string{"latest", "v1"}},
	} {
		w, _ := newWorld(t, "latest", "v1")
		decoded, err := pushspec.Decode(w.spec)
		if err != nil {
			t.Fatal(err)
		}
		decoded.Destination.Overwrite = row.overwrite
		decoded.Version()
		if w.spec, err = decoded.Encode(); err != nil {
			t.Fatal(err)
		}
		w.terms = row.terms
		if _, err := w.work(t, 1); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(w.request.KeepTags, row.want) {
			t.Errorf("overwrite %q, policy %q: %q are kept, want %q", row.overwrite, row.terms.KeepTags, w.request.KeepTags, row.want)
		}
	}
}
