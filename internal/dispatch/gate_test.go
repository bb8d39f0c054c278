package dispatch_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// edit changes the world's push spec.
func (w *world) edit(t *testing.T, change func(*pushspec.Spec)) {
	t.Helper()
	decoded, err := pushspec.Decode(w.spec)
	if err != nil {
		t.Fatal(err)
	}
	change(decoded)
	decoded.Version()
	if w.spec, err = decoded.Encode(); err != nil {
		t.Fatal(err)
	}
}

func TestTheStrictestGateWins(t *testing.T) {
	const green, approved = pushspec.GateGreen, pushspec.GateApproved
	for name, row := range map[string]struct {
		change func(*world)
		want   pushspec.Gate
	}{
		"none":                    {func(*world) {}, ""},
		"the target's":            {func(w *world) { w.edit(t, func(s *pushspec.Spec) { s.Destination.Gate = green }) }, green},
		"the daemon's":            {func(w *world) { w.gate = green }, green},
		"the daemon lets it go":   {func(w *world) { w.gate = pushspec.GatePushed }, ""},
		"the policy's":            {func(w *world) { w.terms = admission.Terms{Gate: approved} }, approved},
		"the build's":             {func(w *world) { w.change = func(j *store.Job) { j.Gate = "approved" } }, approved},
		"the invocation's":        {func(w *world) { w.invocation.Metadata = map[string]string{"DRAYAGE_RELEASE": "green"} }, green},
		"the build asks for less": {func(w *world) { w.terms.Gate, w.change = green, func(j *store.Job) { j.Gate = "pushed" } }, green},
		"all of them": {func(w *world) {
			w.gate, w.terms.Gate, w.change = green, approved, func(j *store.Job) { j.Gate = "green" }
		}, approved},
		"a copy, which has no build":      {func(w *world) { w.gate, w.invocation.Command = green, "copy" }, ""},
		"a copy to what the policy gates": {func(w *world) { w.terms.Gate, w.invocation.Command = approved, "copy" }, approved},
	} {
		w, _ := newWorld(t, "latest", "v1")
		row.change(w)
		got, err := w.work(t, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got.Gate != string(row.want) || w.request.Stage != (row.want != "") || (got.Outcome == ledger.Staged) != (row.want != "") {
			t.Errorf("%s: the gate is %q, the outcome %s, want %q", name, got.Gate, got.Outcome, row.want)
		}
	}
}

func TestAnImageWithoutTagsHasNoGate(t *testing.T) {
	w, _ := newWorld(t)
	w.gate = pushspec.GateApproved
	if got, err := w.work(t, 1); err != nil || got.Outcome != ledger.Pushed || got.Gate != "" || w.request.Stage {
		t.Errorf("the outcome is %s, the gate %q, error %v", got.Outcome, got.Gate, err)
	}
}

func TestAGateThatThereIsNotFailsThePush(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.change = func(j *store.Job) { j.Gate = "tested" }
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := `push //app:push to ghcr.io/acme/app: --build_metadata=DRAYAGE_RELEASE: "tested" must be pushed, green or approved`
	if got.Outcome != ledger.Failed || got.ErrorClass != "gate" || got.Error != want {
		t.Errorf("the row is %s, %s: %s", got.Outcome, got.ErrorClass, got.Error)
	}
	if w.request.Spec != nil {
		t.Error("it was hauled")
	}
}

func TestAStagedRowHasTheTagsThatItKeepsBack(t *testing.T) {
	w, root := newWorld(t, "latest", "v1")
	w.gate, w.known = pushspec.GateGreen, true
	w.edit(t, func(s *pushspec.Spec) { s.Destination.Overwrite = pushspec.OverwriteNever })
	got, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := ledger.Entry{
		Outcome: ledger.Staged, Gate: "green", HeldTags: []string{"latest", "v1"}, NeverOverwrite: true,
		Registry: "ghcr.io", Repository: "acme/app", Digest: root,
	}
	have := ledger.Entry{
		Outcome: got.Outcome, Gate: got.Gate, HeldTags: got.HeldTags, NeverOverwrite: got.NeverOverwrite, Tags: got.Tags,
		Registry: got.Registry, Repository: got.Repository, Digest: got.Digest, ErrorClass: got.ErrorClass, Error: got.Error,
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("the row (-want +got):\n%s", diff)
	}
	if !w.request.Known || len(w.request.KeepTags) != 2 {
		t.Errorf("the request is %+v", w.request)
	}
	if w.claim.Tags != nil {
		t.Error("tags are claimed that nobody writes")
	}
}

func TestADefaultIsForABuildThatHasToldAll(t *testing.T) {
	w, _ := newWorld(t, "git-{GIT_TAG}")
	w.invocation.Finished, w.invocation.Status = false, nil
	_, err := w.work(t, 1)
	if _, postponed := errors.AsType[*store.PostponeError](err); !postponed {
		t.Errorf("error is %v, want the stream to be waited for", err)
	}
	w.invocation.Status = map[string]string{"GIT_TAG": "v1"}
	if got, err := w.work(t, 1); err != nil || strings.Join(got.TagNames(), " ") != "" && got.Outcome != ledger.Pushed {
		t.Errorf("the row is %+v, error %v", got, err)
	}
}
