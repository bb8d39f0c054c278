package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// The newer of two builds has the tag, in whichever order their tags are let go.
func TestAPromotedOlderBuildLeavesTheTagOfANewerOne(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	stage := func(content string) (invocation, digest string) {
		t.Helper()
		s.workspace.Write(t, "config/staging", "greeting = "+content+"\n")
		result := s.build(t, "--build_metadata=DRAYAGE_RELEASE=approved", "//:push_staging")
		if out, code := s.wait(t, result.Invocation, "--until", "staged"); code != waitDone {
			t.Fatalf("wait ended with %d:\n%s", code, out)
		}
		row := s.lastRow(t, result.Invocation)
		if row.Outcome != ledger.Staged || len(row.Tags) > 0 {
			t.Fatalf("the push is %s with the tags %v, want it staged", row.Outcome, row.Tags)
		}
		return result.Invocation, row.Digest
	}
	first, firstDigest := stage("the first")
	older, olderDigest := stage("the older")
	newer, newerDigest := stage("the newer")

	points := func(what, want string) {
		t.Helper()
		if digest, err := served(t.Context(), s.registry.Host, s.lastRow(t, first).Repository, "latest"); err != nil || digest != want {
			t.Errorf("%s: the tag points to %s, want %s (%v)", what, digest, want, err)
		}
	}
	act := func(what, invocation string, wantCode int) string {
		t.Helper()
		if out, err := s.drayage(t, what, invocation); err != nil {
			t.Fatalf("drayage %s: %v\n%s", what, err, out)
		}
		out, code := s.wait(t, invocation)
		if code != wantCode {
			t.Errorf("wait after %s ended with %d, want %d:\n%s", what, code, wantCode, out)
		}
		return out
	}
	act("promote", first, waitDone)
	points("the first is promoted", firstDigest)
	act("promote", newer, waitDone)
	points("the newer is promoted", newerDigest)
	out := act("promote", older, waitDone)
	if !strings.Contains(out, "superseded") {
		t.Errorf("wait does not say that the older build is superseded:\n%s", out)
	}
	if row := s.lastRow(t, older); row.Outcome != ledger.Superseded || !strings.Contains(row.Error, "drayage fence lift") {
		t.Errorf("the older build's push is %s: %s", row.Outcome, row.Error)
	}
	points("the older is promoted after the newer", newerDigest)

	act("rollback", newer, waitWithheld)
	points("the newer is rolled back", firstDigest)
	row := s.lastRow(t, newer)
	if row.Outcome != ledger.RolledBack {
		t.Errorf("the newer build's push is %s", row.Outcome)
	}

	// Somebody wants the older one after all.
	address := row.Registry + "/" + row.Repository + ":latest"
	if out, err := s.drayage(t, "fence", "lift", address); err != nil {
		t.Fatalf("fence lift: %v\n%s", err, out)
	}
	act("promote", older, waitDone)
	points("the fence is lifted", olderDigest)
}

// lastRow is the latest row of an invocation with one push.
func (s *scene) lastRow(t *testing.T, invocation string) ledger.Entry {
	t.Helper()
	rows := s.daemon.Ledger(t, ledger.Query{Invocation: invocation})
	if len(rows) == 0 {
		t.Fatalf("the ledger has no row of %s", invocation)
	}
	return rows[0]
}

// A build host whose clock runs two hours ahead does not keep others from the tags that it
// has written.
func TestAClockThatRunsAheadFreezesNoTag(t *testing.T) {
	t.Parallel()
	cache, registry := rig.StartBazelRemote(t), rig.StartRegistry(t)
	d := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC})
	ahead := rig.NewFleet(t, cache, rig.FleetPlan{
		Invocation: "ahead", Registry: registry.Host, Images: 2, Repositories: 2, Shared: 1 << 10, Own: 512, OwnEvery: 1, Clock: 2 * time.Hour,
	})
	sendFleet(t, ahead, d)
	d.WaitPushed(t, ahead.Invocation, pushLimit)
	normal := rig.NewFleet(t, cache, rig.FleetPlan{
		Invocation: "normal", Registry: registry.Host, Images: 2, Repositories: 2, Shared: 1 << 10, Own: 512, OwnEvery: 1,
	})
	sendFleet(t, normal, d)
	d.WaitPushed(t, normal.Invocation, pushLimit)
	for _, row := range d.Ledger(t, ledger.Query{Invocation: normal.Invocation}) {
		if row.Outcome != ledger.Pushed {
			t.Errorf("the push of a build with the right clock is %s: %s", row.Outcome, row.Error)
		}
	}
	if moved := movedTags(t, normal, registry.Host); len(moved) != len(normal.Images) {
		t.Errorf("tags of %d images have moved, want all %d", len(moved), len(normal.Images))
	}
}
