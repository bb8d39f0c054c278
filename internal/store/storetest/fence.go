package storetest

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// fences are the behaviours of the order of builds at a tag.
func fences() []behaviour {
	return []behaviour{
		{"a build host whose clock is wrong freezes no tag", aBuildHostWhoseClockIsWrongFreezesNoTag},
		{"a number decides before the start does", aNumberDecidesBeforeTheStartDoes},
		{"a fence that is lifted lets any build write", aFenceThatIsLiftedLetsAnyBuildWrite},
		{"the newest of the builds of one image stays the one to beat", theNewestOfTheBuildsOfOneImageStaysTheOneToBeat},
		{"after a rollback only newer builds and the build itself move the tag", afterARollbackOnlyNewerBuildsAndTheBuildItselfMoveTheTag},
		{"a tag is not put back while it is being written", aTagIsNotPutBackWhileItIsBeingWritten},
		{"what a tag pointed to survives the job that wrote it", whatATagPointedToSurvivesTheJobThatWroteIt},
	}
}

// write has a job claim the tag latest, and end as pushed if it is granted it.
func (h *Hands) write(t *testing.T, claim store.TagClaim) store.TagGrant {
	t.Helper()
	attempt := h.Begin(t, claim.Invocation+rand.Text())
	grant, err := h.store.ClaimTags(t.Context(), attempt, claim)
	if err != nil {
		t.Fatal(err)
	}
	h.End(t, attempt, ledger.Entry{Outcome: ledger.Pushed})
	return grant
}

// fence is that of the tag latest.
func fence(t *testing.T, s *store.Store) store.Fence {
	t.Helper()
	list, err := s.Fences(t.Context(), "r.test", "app", "latest", 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("fences %+v, error %v; want one", list, err)
	}
	return list[0]
}

func aBuildHostWhoseClockIsWrongFreezesNoTag(t *testing.T, driver sqldbtest.Driver) {
	c := newClock()
	s := Open(t, driver, store.Options{Clock: c.now})
	h := NewHands(t, s)
	build := func(id string, wrong time.Duration) store.TagGrant {
		t.Helper()
		if err := s.SaveInvocation(t.Context(), store.Invocation{ID: id, Started: c.now().Add(wrong - time.Second)}); err != nil {
			t.Fatal(err)
		}
		// Said again, since the client came back: it was seen before.
		c.add(time.Minute)
		if err := s.SaveInvocation(t.Context(), store.Invocation{ID: id, Command: "build"}); err != nil {
			t.Fatal(err)
		}
		i := known(t, s, id)
		return h.write(t, claimOf(id, i.Order(), "latest"))
	}
	for _, row := range []struct {
		id    string
		wrong time.Duration
	}{
		{"right", 0}, {"ahead", 2 * time.Hour}, {"right again", 0}, {"behind", -2 * time.Hour}, {"right at last", 0},
	} {
		// So far apart that a clock which is behind does not matter.
		c.add(11 * time.Minute)
		if grant := build(row.id, row.wrong); len(grant.Tags) != 1 {
			t.Errorf("the build %q is granted %+v", row.id, grant)
		}
	}
	if got := known(t, s, "right"); !got.Order().Equal(got.Started) {
		t.Errorf("a build whose clock is right is ordered by %s, and was started at %s", got.Order(), got.Started)
	}
	if got := known(t, s, "ahead"); !got.Order().Equal(got.Seen) || got.Seen.Sub(monday).Round(time.Minute) != 23*time.Minute {
		t.Errorf("a build whose clock is ahead is ordered by %s, and was first seen at %s", got.Order(), got.Seen)
	}
	if got := known(t, s, "behind"); got.Order().Sub(got.Seen) != -10*time.Minute {
		t.Errorf("a build whose clock is behind is ordered by %s, and was first seen at %s", got.Order(), got.Seen)
	}
}

func aNumberDecidesBeforeTheStartDoes(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{OrderBy: "BUILD_NUMBER"})
	h := NewHands(t, s)
	build := func(id, number string, started time.Time) store.TagGrant {
		t.Helper()
		i := store.Invocation{ID: id, Started: started}
		if number != "" {
			i.Status = map[string]string{"BUILD_NUMBER": number}
		}
		if err := s.SaveInvocation(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		claim := claimOf(id, started, "latest")
		claim.Number = known(t, s, id).Number
		return h.write(t, claim)
	}
	for _, row := range []struct {
		id, number string
		started    time.Time
		granted    int
	}{
		{"eight", "8", tuesday, 1},
		{"seven, started later", "7", tuesday.Add(time.Hour), 0},
		{"nine, started earlier", "9", monday, 1},
		{"nine again, earlier still", "9", monday.Add(-time.Hour), 0},
		{"none, started earlier", "", monday.Add(-time.Hour), 0},
		{"none, started later", "no number", tuesday, 1},
		{"a time", "2026-03-04T05:06:07Z", monday, 0}, // the last has no number, and was started later
		{"a time, and started later", "2026-03-04T05:06:07Z", tuesday, 1},
		{"a later time", "2026-03-04T05:06:08Z", monday, 1},
	} {
		if grant := build(row.id, row.number, row.started); len(grant.Tags) != row.granted {
			t.Errorf("the build %q is granted %+v", row.id, grant)
		}
	}
}

func aFenceThatIsLiftedLetsAnyBuildWrite(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	h.write(t, claimOf("newer", tuesday, "latest"))
	if grant := h.write(t, claimOf("older", monday, "latest")); len(grant.Superseded) != 1 {
		t.Fatalf("the older build is granted %+v", grant)
	}
	want := store.Fence{Registry: "r.test", Repository: "app", Tag: "latest", Digest: "sha256:newer", Invocation: "newer", Started: tuesday}
	if diff := cmp.Diff(want, fence(t, s)); diff != "" {
		t.Errorf("the fence (-want +got):\n%s", diff)
	}
	if n, err := s.LiftFence(t.Context(), "r.test", "app", "latest", "anna"); err != nil || n != 1 {
		t.Errorf("lifted %d, error %v", n, err)
	}
	if n, err := s.LiftFence(t.Context(), "r.test", "app", "", "anna"); err != nil || n != 0 {
		t.Errorf("lifted %d that were lifted before, error %v", n, err)
	}
	want.Started, want.LiftedBy = time.Time{}, "anna"
	if diff := cmp.Diff(want, fence(t, s), cmpopts.IgnoreFields(store.Fence{}, "Lifted")); diff != "" || fence(t, s).Lifted.IsZero() {
		t.Errorf("the fence that was lifted (-want +got):\n%s", diff)
	}
	if grant := h.write(t, claimOf("older", monday, "latest")); len(grant.Tags) != 1 {
		t.Errorf("the older build is granted %+v", grant)
	}
	if grant := h.write(t, claimOf("older still", monday.Add(-time.Hour), "latest")); len(grant.Superseded) != 1 {
		t.Errorf("the fence stays lifted: %+v", grant)
	}
}

func theNewestOfTheBuildsOfOneImageStaysTheOneToBeat(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	h.write(t, claimOf("newest", tuesday, "latest"))
	same := claimOf("oldest", monday, "latest")
	same.Digest = "sha256:newest"
	h.write(t, same)
	between := claimOf("between", monday.Add(time.Hour), "latest")
	if grant := h.write(t, between); len(grant.Superseded) != 1 || grant.Superseded[0].Invocation != "newest" {
		t.Errorf("a build between the two is granted %+v", grant)
	}
}

// putBack has a job put the tags of a claim back to an image, as a rollback does.
func (h *Hands) putBack(t *testing.T, claim store.TagClaim, digest string) store.TagGrant {
	t.Helper()
	claim.Restore = true
	attempt := h.Begin(t, claim.Invocation+rand.Text())
	grant, err := h.store.ClaimTags(t.Context(), attempt, claim)
	if err != nil {
		t.Fatal(err)
	}
	entry := ledger.Entry{Outcome: ledger.RolledBack, Registry: "r.test", Repository: "app", Digest: claim.Digest}
	for _, tag := range grant.Tags {
		entry.Tags = append(entry.Tags, ledger.Tag{Name: tag, Previous: claim.Digest, Digest: digest})
	}
	h.End(t, attempt, entry)
	return grant
}

func afterARollbackOnlyNewerBuildsAndTheBuildItselfMoveTheTag(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	bad := claimOf("bad", tuesday, "latest")
	h.write(t, claimOf("first", monday, "latest"))
	h.write(t, bad)
	if grant := h.putBack(t, bad, "sha256:first"); len(grant.Tags) != 1 {
		t.Fatalf("the rollback is granted %+v", grant)
	}
	if f := fence(t, s); f.Digest != "sha256:first" || !f.Started.Equal(tuesday) {
		t.Errorf("the fence is %+v, want the restored image in the order of the build that was rolled back", f)
	}
	if grant := h.write(t, claimOf("between", monday.Add(time.Hour), "latest")); len(grant.Superseded) != 1 {
		t.Errorf("an older build is granted %+v", grant)
	}
	promoted := claimOf("bad", tuesday, "latest")
	promoted.Target = "//another:target"
	if grant := h.write(t, promoted); len(grant.Tags) != 1 || len(grant.Conflicts) != 0 {
		t.Errorf("the build itself is granted %+v", grant)
	}
	if grant := h.putBack(t, bad, "none"); len(grant.Tags) != 1 {
		t.Fatalf("the second rollback is granted %+v", grant)
	}
	if f := fence(t, s); f.Digest != "" {
		t.Errorf("the fence of a tag that was removed is %+v", f)
	}
	h.write(t, claimOf("newer", tuesday.Add(time.Hour), "latest"))
	if grant := h.putBack(t, bad, "sha256:first"); len(grant.Tags) != 0 || len(grant.Superseded) != 1 {
		t.Errorf("a rollback after a newer build is granted %+v", grant)
	}
	// The newer build made the same image as the one that is rolled back: the tag is its.
	same := claimOf("newer still", tuesday.Add(2*time.Hour), "latest")
	same.Digest = "sha256:bad"
	h.write(t, same)
	if grant := h.putBack(t, bad, "sha256:first"); len(grant.Tags) != 0 || len(grant.Superseded) != 1 {
		t.Errorf("a rollback after a newer build of the same image is granted %+v", grant)
	}
}

func aTagIsNotPutBackWhileItIsBeingWritten(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	restoring := claimOf("one", monday, "latest")
	restoring.Restore = true
	writer, restorer := h.Begin(t, "writer"), h.Begin(t, "restorer")
	if _, err := s.ClaimTags(t.Context(), writer, claimOf("one", monday, "latest")); err != nil {
		t.Fatal(err)
	}
	if f := fence(t, s); f.Job != writer.Job() {
		t.Errorf("the fence is %+v, want the job that writes", f)
	}
	if _, err := s.ClaimTags(t.Context(), restorer, restoring); !isPostponed(err) {
		t.Errorf("a rollback while the tag is being written: %v, want a postponement", err)
	}
	h.End(t, writer, ledger.Entry{Outcome: ledger.Pushed})
	if _, err := s.ClaimTags(t.Context(), restorer, restoring); err != nil {
		t.Fatal(err)
	}
	writer = h.Begin(t, "writer again")
	if _, err := s.ClaimTags(t.Context(), writer, claimOf("one", monday, "latest")); !isPostponed(err) {
		t.Errorf("a push while the tag is put back: %v, want a postponement", err)
	}
}

func whatATagPointedToSurvivesTheJobThatWroteIt(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	h := NewHands(t, s)
	// It looked at the tags, wrote them, and died, which nobody could write down.
	claim := claimOf("build", monday, "latest", "new", "unlooked")
	claim.Previous = map[string]string{"latest": "sha256:before", "new": ""}
	first := h.Begin(t, "first")
	if _, err := s.ClaimTags(t.Context(), first, claim); err != nil {
		t.Fatal(err)
	}
	// The next run finds the tags at the image that it is to write.
	claim.Previous = map[string]string{"latest": claim.Digest, "new": claim.Digest}
	want := map[string]string{"latest": "sha256:before", "new": ""}
	for range 2 {
		grant, err := s.ClaimTags(t.Context(), first, claim)
		if diff := cmp.Diff(want, grant.Previous); diff != "" || err != nil {
			t.Errorf("the tags pointed to (-want +got):\n%s%v", diff, err)
		}
	}
	h.End(t, first, ledger.Entry{Outcome: ledger.Failed})
	// So does the job that repeats it.
	second := h.Begin(t, "second")
	if grant, err := s.ClaimTags(t.Context(), second, claim); !cmp.Equal(want, grant.Previous) || err != nil {
		t.Errorf("the job that repeats it is told %v, error %v", grant.Previous, err)
	}
	h.End(t, second, ledger.Entry{Outcome: ledger.Pushed})
	// What another one is told is what it has looked at itself.
	claim.Previous = map[string]string{"latest": "sha256:other"}
	third := h.Begin(t, "third")
	if grant, err := s.ClaimTags(t.Context(), third, claim); !cmp.Equal(claim.Previous, grant.Previous) || err != nil {
		t.Errorf("a later job is told %v, error %v", grant.Previous, err)
	}
}
