package e2e_test

import (
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// small is far less than a layer, and more than all else that these builds move.
const small = 256 << 10

// What the README's .bazelrc asks for is to cost nothing where nothing is stale.
func TestAskingForLayersMovesNone(t *testing.T) {
	t.Parallel()
	cache, registry := rig.StartBazelRemote(t), rig.StartRegistry(t)
	meter := rig.StartMeter(t, cache.Address)
	w := cacheWorkspace(t)
	// move counts what one command of Bazel sends to the cache and receives from it. What
	// the pushes of bazel run read does not pass the meter.
	move := func(command string, flags ...string) (sent, received int64) {
		s, r := meter.Sent.Load(), meter.Received.Load()
		w.Bazel(t, command, append(flags, "--remote_cache=grpc://"+meter.Address, "--@drayage//rules/settings:remote_cache="+cache.GRPC,
			"--@drayage//rules/settings:registry="+registry.Host, "//app:push")...)
		return meter.Sent.Load() - s, meter.Received.Load() - r
	}
	const minimal, toplevel = "--remote_download_minimal", "--remote_download_toplevel"
	all, group := uploading[0], uploading[1]

	sent, _ := move("build", minimal, all, group)
	t.Logf("the layer is written: %d bytes sent", sent)
	if sent < cacheLayerSize || sent > cacheLayerSize*3/2 {
		t.Errorf("the build that writes the layer sent %d bytes for one of %d", sent, cacheLayerSize)
	}
	for _, row := range []struct {
		name, command string
		clean         bool
		flags         []string
		brings        bool
	}{
		{"up to date, as written here", "build", false, []string{minimal, all, group}, false},
		{"from the cache, nothing asked for", "build", true, []string{minimal}, false},
		{"from the cache", "build", true, []string{minimal, all, group}, false},
		{"up to date, as it came from the cache", "build", false, []string{minimal, all, group}, false},
		{"toplevel, nothing asked for", "build", true, []string{toplevel}, false},
		{"bazel run", "run", true, []string{minimal, all, group, runsLean}, false},
		// The two of which docs/cache.md warns.
		{"toplevel, layers asked for", "build", true, []string{toplevel, all, group}, true},
		{"bazel run, layers asked for", "run", true, []string{minimal, all, group}, true},
	} {
		if row.clean {
			w.Bazel(t, "clean")
		}
		sent, received := move(row.command, row.flags...)
		t.Logf("%s: %d bytes sent, %d received", row.name, sent, received)
		if sent > small || (received >= cacheLayerSize) != row.brings || !row.brings && received > small {
			t.Errorf("%s: %d bytes sent, %d received, for a layer of %d", row.name, sent, received, cacheLayerSize)
		}
	}
}
