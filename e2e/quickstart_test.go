package e2e_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/e2e/rig"
)

// The quick start, as docs/rules.md has it.
const (
	quickStartModule = `pull = use_repo_rule("@drayage//rules:pull.bzl", "pull")

# Pulls manifest+config only (no layer blobs yet)
pull(
    name = "ubuntu",
    registry = "index.docker.io",
    repository = "library/ubuntu",
    tag = "24.04",
    digest = "sha256:1e622c5f073b4f6bfad6632f2616c7f59ef256e96fe78bf6a595d1dc4376ac02",
)
`
	quickStartBuild = `load("@drayage//rules:layer.bzl", "image_layer")
load("@drayage//rules:image.bzl", "image_manifest")

image_layer(
    name = "app_layer",
    srcs = {
        "/app/bin/server": "//cmd/server",
        "/app/config": "//configs:prod",
    },
    compress = "zstd",
)

image_manifest(
    name = "app_image",
    base = "@ubuntu",
    layers = [":app_layer"],
)
`
	quickStartRC = `common --@drayage//rules/settings:compress=zstd
common --@drayage//rules/settings:estargz=enabled
common --@drayage//rules/settings:push_strategy=lazy
`
	quickStartPush = `load("@drayage//rules:push.bzl", "image_push")

image_push(
    name = "push_app",
    image = ":app_image",
    registry = "ghcr.io",
    repository = "my-project/app",
    tag = "latest",
)
`
)

const (
	// baseLayers of baseLayerSize bytes are a base of a gigabyte.
	baseLayers, baseLayerSize = 4, 256 << 20
	// appSize is the size of the program, in bytes; it does not compress.
	appSize = 8 << 20
)

// quickStart is a workspace with the quick start in it, whose base and whose push
// are of a registry.
func quickStart(t *testing.T, registry, digest, program string) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	module := strings.ReplaceAll(quickStartModule, "index.docker.io", registry)
	w.Write(t, "MODULE.bazel", w.Read(t, "MODULE.bazel")+strings.ReplaceAll(module, quickStartDigest(t), digest))
	w.Write(t, "BUILD.bazel", quickStartBuild+strings.ReplaceAll(quickStartPush, "ghcr.io", registry))
	w.Write(t, ".bazelrc", w.Read(t, ".bazelrc")+quickStartRC)
	w.Write(t, "cmd/server/BUILD.bazel", `exports_files(["server"], visibility = ["//visibility:public"])`)
	w.Write(t, "cmd/server/server", program)
	w.Write(t, "configs/BUILD.bazel", `exports_files(["prod"], visibility = ["//visibility:public"])`)
	w.Write(t, "configs/prod", "greeting = hello\n")
	return w
}

func TestTheManualHasThisQuickStart(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile(filepath.Join(rig.Root(t), "docs", "rules.md"))
	check(t, err)
	for _, part := range []string{quickStartModule, quickStartBuild, quickStartRC, quickStartPush} {
		if !strings.Contains(string(manual), part) {
			t.Errorf("docs/rules.md does not have\n%s", part)
		}
	}
}

func quickStartDigest(t *testing.T) string {
	t.Helper()
	_, after, found := strings.Cut(quickStartModule, `digest = "`)
	digest, _, closed := strings.Cut(after, `"`)
	if !found || !closed {
		t.Fatal("the quick start has no digest")
	}
	return digest
}

// TestTheQuickStartMovesNoByteThatItNeedNot builds the quick start on a base of a
// gigabyte, on a machine whose cache is warm and on one that has nothing, and pushes
// it twice.
func TestTheQuickStartMovesNoByteThatItNeedNot(t *testing.T) {
	t.Parallel()
	registry, cache := rig.StartRegistry(t), rig.StartBazelRemote(t)
	proxy := rig.StartProxy(t, registry.Host)
	base, err := random.Image(baseLayerSize, baseLayers)
	check(t, err)
	check(t, remote.Write(taggedAs(t, registry.Host+"/library/ubuntu:24.04"), base))
	digest, err := base.Digest()
	check(t, err)
	layers := map[string]bool{}
	manifest, err := base.Manifest()
	check(t, err)
	for _, l := range manifest.Layers {
		layers[l.Digest.String()] = true
	}
	program := string(noise(1))

	first := quickStart(t, proxy.Host, digest.String(), program)
	first.Bazel(t, "build", "--remote_cache="+cache.GRPC, "//:app_image", "//:push_app")
	wantNoLayers(t, proxy, layers)

	// A machine with nothing on it.
	proxy.Reset()
	meter := rig.StartMeter(t, cache.Address)
	second := quickStart(t, proxy.Host, digest.String(), program)
	second.Bazel(t, "build", "--remote_cache=grpc://"+meter.Address, "//:app_image", "//:push_app")
	wantNoLayers(t, proxy, layers)
	fetched := meter.Received.Load() + received(proxy)
	t.Logf("an empty machine fetched %d bytes: %d from the cache, %d from the registry", fetched, meter.Received.Load(), received(proxy))
	if fetched > 50<<10 {
		t.Errorf("an empty machine fetched %d bytes to build an image on a base of a gigabyte, want 50 KiB at most", fetched)
	}

	run := func(w *rig.Workspace) {
		w.Bazel(t, "run", "--remote_cache="+cache.GRPC, "--@drayage//rules/settings:remote_cache=grpc://"+meter.Address, "//:push_app")
	}
	run(first)
	rig.PullImage(t, registry.Host+"/my-project/app:latest")

	// moves counts what a push reads from the cache and sends to the registry.
	moves := func(w *rig.Workspace) (read, sent int64) {
		proxy.Reset()
		before := meter.Received.Load()
		run(w)
		for _, r := range proxy.Requests() {
			sent += r.Sent
		}
		return meter.Received.Load() - before, sent
	}
	const little = 256 << 10
	once := func(n int64) bool { return n >= appSize && n <= appSize+little }

	// One layer is new. On the machine that has built it, it is there.
	first.Write(t, "cmd/server/server", string(noise(2)))
	first.Bazel(t, "build", "--remote_cache="+cache.GRPC, "//:push_app")
	read, sent := moves(first)
	t.Logf("a layer of %d bytes that is new and here: %d bytes out of the cache, %d into the registry", appSize, read, sent)
	if read > little || !once(sent) {
		t.Errorf("to push one new layer of %d bytes, built here, %d were read and %d sent", appSize, read, sent)
	}

	// On another it moves once, from the cache to the registry.
	for _, w := range []*rig.Workspace{first, second} {
		w.Write(t, "cmd/server/server", string(noise(3)))
		w.Bazel(t, "build", "--remote_cache="+cache.GRPC, "//:push_app")
	}
	read, sent = moves(second)
	t.Logf("a layer of %d bytes that is new: %d bytes out of the cache, %d into the registry", appSize, read, sent)
	if !once(read) || !once(sent) {
		t.Errorf("to push one new layer of %d bytes %d were read and %d sent", appSize, read, sent)
	}
	wantNoLayers(t, proxy, layers)
}

// noise does not compress.
func noise(seed byte) []byte {
	data := make([]byte, appSize)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data) // never fails
	return data
}

func received(proxy *rig.Proxy) (bytes int64) {
	for _, r := range proxy.Requests() {
		bytes += r.Received
	}
	return bytes
}

// wantNoLayers fails t if somebody has read a layer of the base, or asked for it.
func wantNoLayers(t *testing.T, proxy *rig.Proxy, layers map[string]bool) {
	t.Helper()
	for _, r := range proxy.Requests() {
		if _, blob, found := strings.Cut(r.URL.Path, "/blobs/"); found && layers[blob] {
			t.Errorf("the base's layer was asked for: %s %s", r.Method, r.URL.Path)
		}
	}
}
