package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

// What a build has staged goes to production by its digests, with what refers to it, and
// leaves the tags of staging as they are.
func TestABuildIsPromotedToAnotherRegistry(t *testing.T) {
	t.Parallel()
	staging, production := rig.StartRegistry(t), rig.StartOldRegistry(t)
	s := &scene{cache: rig.StartBazelRemote(t)}
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: s.cache.GRPC})
	f := rig.NewFleet(t, s.cache, rig.FleetPlan{
		Invocation: "candidate", Registry: staging.Host, Images: 5, Repositories: 3, Shared: 4 << 10, Own: 512, OwnEvery: 1,
		Referrers: []string{"application/spdx+json", "application/x.signature"}, Gate: "approved",
	})
	sendFleet(t, f, s.daemon)
	if out, code := s.wait(t, f.Invocation, "--until", "staged"); code != waitDone {
		t.Fatalf("wait ended with %d:\n%s", code, out)
	}
	out, err := s.drayage(t, "promote", f.Invocation, "--to", production.Host+"/live/{REPOSITORY}")
	if err != nil {
		t.Fatalf("promote --to: %v\n%s", err, out)
	}
	for i, image := range f.Images {
		copied := image
		copied.Repository = "live/" + image.Repository
		tag := fmt.Sprintf("app%d-%s", i, rig.FleetRevision)
		if digest, err := served(t.Context(), production.Host, copied.Repository, tag); err != nil || digest != image.Digest {
			t.Errorf("production has %s under %s:%s, want %s (%v)", digest, copied.Repository, tag, image.Digest, err)
		}
		if err := whole(t.Context(), production.Host, copied); err != nil {
			t.Errorf("%s: %v", image.Target, err)
		}
	}
	if moved := movedTags(t, f, staging.Host); len(moved) > 0 {
		t.Errorf("tags of %d images have moved in staging, which nobody has promoted there", len(moved))
	}
	rows := s.daemon.Ledger(t, ledger.Query{Registry: production.Host})
	if len(rows) != len(f.Images) {
		t.Errorf("the ledger has %d rows of production, want %d", len(rows), len(f.Images))
	}
	for _, row := range rows {
		if !row.Outcome.Good() || !strings.HasPrefix(row.Repository, "live/fleet/") {
			t.Errorf("the row is %s of %s: %s", row.Outcome, row.Repository, row.Error)
		}
	}
}
