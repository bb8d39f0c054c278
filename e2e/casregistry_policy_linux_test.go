package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/e2e/rig"
)

// The daemon's registry gives nobody more than the policy does, and clients that stall
// take nothing from others.
func TestTheRegistryInFrontOfTheCacheAsksThePolicy(t *testing.T) {
	t.Parallel()
	const ours, theirs = "the token of those who push", "the token of some strangers"
	dir := rig.TempDir(t)
	for name, token := range map[string]string{"ours": ours, "theirs": theirs} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(token), 0o600))
	}
	cache, address := rig.StartBazelRemote(t), rig.FreeAddress(t)
	daemon := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC, More: map[string]any{
		"cas_registry": map[string]any{"listen": address, "folder": filepath.Join(dir, "images")},
		"policy": map[string]any{
			"tokens": []map[string]any{{"name": "ours", "secret_file": filepath.Join(dir, "ours")}, {"name": "theirs", "secret_file": filepath.Join(dir, "theirs")}},
			"rules": []map[string]any{
				{"name": "ours", "clients": []string{"token:ours"}, "repositories": []string{address + "/acme/*"}, "never_overwrite": []string{"latest"}},
				{"name": "theirs", "clients": []string{"token:theirs"}, "repositories": []string{address + "/pub/*"}},
			},
			"read": []string{"token:ours"},
		},
	}})
	// A third of all uploads waited for these once.
	for range 30 {
		conn, err := net.Dial("tcp", address)
		check(t, err)
		defer func() { _ = conn.Close() }()
		_, err = fmt.Fprintf(conn, "POST /v2/pub/app/blobs/uploads/?digest=sha256:%064d HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{", 0, address, theirs)
		check(t, err)
	}

	w := rig.NewWorkspace(t)
	w.Env = append(w.Env, "DOCKER_CONFIG="+dir)
	push := func(token string) rig.BazelResult {
		check(t, os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, address, basicAuth("anybody", token)), 0o600))
		return w.TryBazel(t, "run", "--remote_cache="+cache.GRPC, "--@drayage//rules/settings:registry="+address, "--@drayage//rules/settings:push_strategy=cas_registry", "//:push_prod")
	}
	if result := push(theirs); result.ExitCode == 0 || !strings.Contains(result.Stderr, "403") {
		t.Errorf("a push by strangers: exit code %d\n%s", result.ExitCode, result.Stderr)
	}
	if result := push(ours); result.ExitCode != 0 {
		t.Fatalf("exit code %d\n%s", result.ExitCode, result.Stderr)
	}

	image := address + "/acme/server:latest"
	containerd := rig.StartContainerd(t)
	for _, token := range []string{"", theirs, "no token of anybody at all"} {
		if err := containerd.Pull(t, image, token); err == nil {
			t.Errorf("containerd pulls with %q", token)
		}
	}
	check(t, containerd.Pull(t, image, ours))

	// What the cache has is nobody's by its digest alone.
	tag, err := name.NewTag(image)
	check(t, err)
	pulled, err := remote.Image(tag, remote.WithAuth(&authn.Basic{Username: "anybody", Password: ours}))
	check(t, err)
	wantWhole(t, pulled)
	layers, err := pulled.Layers()
	check(t, err)
	digest, err := layers[0].Digest()
	check(t, err)
	for _, row := range []struct {
		method, path, token string
		want                int
	}{
		{http.MethodGet, "acme/server/blobs/" + digest.String(), "", http.StatusUnauthorized},
		{http.MethodGet, "acme/server/blobs/" + digest.String(), theirs, http.StatusForbidden},
		{http.MethodGet, "pub/app/blobs/" + digest.String(), theirs, http.StatusNotFound},
		{http.MethodPost, "pub/app/blobs/uploads/?from=acme/server&mount=" + digest.String(), theirs, http.StatusAccepted},
		{http.MethodGet, "pub/app/blobs/" + digest.String(), theirs, http.StatusNotFound},
		{http.MethodGet, "acme/server/blobs/" + digest.String(), ours, http.StatusOK},
		{http.MethodDelete, "acme/server/manifests/latest", ours, http.StatusForbidden},
		{http.MethodDelete, "acme/server/manifests/latest", theirs, http.StatusForbidden},
	} {
		request, err := http.NewRequestWithContext(t.Context(), row.method, "http://"+address+"/v2/"+row.path, http.NoBody)
		check(t, err)
		if row.token != "" {
			request.Header.Set("Authorization", "Bearer "+row.token)
		}
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		check(t, response.Body.Close())
		if response.StatusCode != row.want {
			t.Errorf("%s %s with %q: %s, want %d", row.method, row.path, row.token, response.Status, row.want)
		}
	}
	daemon.Stop(t)
}
