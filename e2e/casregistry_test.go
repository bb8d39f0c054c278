package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// The daemon's own registry has its layers in the cache: pushing to it sends
// manifests and configs alone.
func TestAnImageIsPulledFromARegistryInFrontOfTheCache(t *testing.T) {
	t.Parallel()
	cache, address := rig.StartBazelRemote(t), rig.FreeAddress(t)
	folder := filepath.Join(rig.TempDir(t), "images")
	daemon := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, More: map[string]any{
		"cas_registry": map[string]any{"listen": address, "folder": folder},
	}})
	proxy := rig.StartProxy(t, address)
	w := rig.NewWorkspace(t)
	push := func(registry string) rig.BazelResult {
		return w.TryBazel(t, "run", "--remote_cache="+cache.GRPC, "--@drayage//rules/settings:registry="+registry,
			"--@drayage//rules/settings:push_strategy=cas_registry", "//:push_prod")
	}

	result := push(proxy.Host)
	if result.ExitCode != 0 || !strings.Contains(result.Stdout, proxy.Host+"/acme/server@sha256:") {
		t.Fatalf("exit code %d, %q\n%s", result.ExitCode, result.Stdout, result.Stderr)
	}
	var sent int64
	for _, r := range proxy.Requests() {
		sent += r.Sent
	}
	if sent > 10<<10 {
		t.Errorf("%d bytes were sent to the registry, which has the layers already", sent)
	}
	image := rig.PullImage(t, address+"/acme/server:latest")
	wantWhole(t, image)

	daemon.Kill()
	daemon.Start(t)
	wantWhole(t, rig.PullImage(t, address+"/acme/server:latest"))

	// Another registry knows nothing of the cache, and says so.
	result = push(rig.StartRegistry(t).Host)
	if result.ExitCode == 0 || !strings.Contains(result.Stderr, "cannot read the layers from the remote cache") {
		t.Errorf("exit code %d\n%s", result.ExitCode, result.Stderr)
	}

	// What the cache has evicted is gone from the registry too.
	layers, err := image.Layers()
	check(t, err)
	digest, err := layers[0].Digest()
	check(t, err)
	cache.Evict(t, digest.Hex)
	resp, err := http.Head("http://" + address + "/v2/acme/server/blobs/" + digest.String())
	check(t, err)
	check(t, resp.Body.Close())
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("a layer that was evicted is answered %s", resp.Status)
	}
	if entries, err := os.ReadDir(filepath.Join(folder, "uploads")); err != nil || len(entries) != 0 {
		t.Errorf("%d unfinished uploads lie about (%v)", len(entries), err)
	}
}
