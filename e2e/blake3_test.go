package e2e_test

import (
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/internal/ledger"
)

func TestABuildUnderBLAKE3IsHauled(t *testing.T) {
	t.Parallel()
	cache := rig.StartBlake3Cache(t)
	s := &scene{registry: rig.StartProxy(t, rig.StartRegistry(t).Host), workspace: rig.NewWorkspace(t)}
	s.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC})
	s.workspace.Startup = []string{"--digest_function=blake3"}
	build := func(flags ...string) map[string]ledger.Entry {
		result := s.workspace.Bazel(t, "build", append(flags, "--remote_cache="+cache.GRPC, "--bes_backend="+s.daemon.BES,
			"--@drayage//rules/settings:registry="+s.registry.Host, "//:push_prod")...)
		s.daemon.WaitPushed(t, result.Invocation, pushLimit)
		return byTarget(t, s.daemon.Ledger(t, ledger.Query{Invocation: result.Invocation}))
	}

	// Who forgets the setting is told of it, and not that the cache has lost something.
	row := build()["//:push_prod"]
	if row.Outcome != ledger.Failed || row.ErrorClass != "malformed" || !strings.Contains(row.Error, "rules/settings:digest_function=blake3") {
		t.Errorf("without the setting the row is %s, %s: %s", row.Outcome, row.ErrorClass, row.Error)
	}

	row = wantPushed(t, build("--@drayage//rules/settings:digest_function=blake3"), "//:push_prod")
	wantWhole(t, rig.PullImage(t, reference(row)))
	if !strings.HasPrefix(row.SpecDigest, "blake3:") || !strings.HasPrefix(row.Digest, "sha256:") {
		t.Errorf("the push spec is %s, and the image %s", row.SpecDigest, row.Digest)
	}

	// bazel run reads the same cache.
	result := s.workspace.Bazel(t, "run", "--remote_cache="+cache.GRPC, "--@drayage//rules/settings:remote_cache="+cache.GRPC,
		"--@drayage//rules/settings:digest_function=blake3", "--@drayage//rules/settings:registry="+rig.StartRegistry(t).Host, "//:push_prod")
	if !strings.Contains(result.Stdout, "acme/server@"+row.Digest) {
		t.Errorf("bazel run printed %q", result.Stdout)
	}
}
