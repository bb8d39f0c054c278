package e2e_test

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/drayage/drayage/e2e/rig"
)

// loadWorkspace is [baseWorkspace] with loads in the place of pushes, and a
// second layer whose text the test chooses.
func loadWorkspace(t *testing.T, registry, digest string) *rig.Workspace {
	t.Helper()
	w := baseWorkspace(t, registry, digest)
	w.Write(t, "app/settings", "greeting = hello\n")
	w.Write(t, "app/BUILD.bazel", strings.ReplaceAll(w.Read(t, "app/BUILD.bazel"), `layers = [":app_layer"]`, `layers = [":app_layer", ":settings_layer"]`)+`
load("@drayage//rules:load.bzl", "image_load")

image_layer(
    name = "settings_layer",
    srcs = {"/app/settings": "settings"},
)

image_load(
    name = "load",
    image = ":app",
    tag = "app:dev",
    tag_list = ["registry.example/acme/app:git-{BUILD_SCM_REVISION}"],
)

image_load(
    name = "load_index",
    image = ":index",
    tag = "index",
)
`)
	return w
}

// loaded are the lines that a load printed: names with digests.
func loaded(r rig.BazelResult) []string { return strings.Fields(r.Stdout) }

// layersAsked counts the layers that were read from a registry.
func layersAsked(proxy *rig.Proxy, layers map[string]bool) int {
	asked := 0
	for _, r := range proxy.Requests() {
		if _, blob, found := strings.Cut(r.URL.Path, "/blobs/"); found && layers[blob] && r.Method == http.MethodGet {
			asked++
		}
	}
	return asked
}

// checkStored reads back an image that containerd has, and all that is below it.
func checkStored(t *testing.T, c *rig.Containerd, digest string) (manifest v1.Manifest) {
	t.Helper()
	read := func(digest string) []byte {
		data := c.ReadContent(t, digest)
		if sum := sha256.Sum256(data); "sha256:"+hex.EncodeToString(sum[:]) != digest {
			t.Errorf("%s has other bytes", digest)
		}
		return data
	}
	check(t, json.Unmarshal(read(digest), &manifest))
	for _, d := range append([]v1.Descriptor{manifest.Config}, manifest.Layers...) {
		if n := int64(len(read(d.Digest.String()))); n != d.Size {
			t.Errorf("%s has %d bytes, and the manifest says %d", d.Digest, n, d.Size)
		}
	}
	return manifest
}

func TestALoadMovesWhatContainerdLacks(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	digest, base := pushBase(t, registry.Host)
	proxy := rig.StartProxy(t, registry.Host)
	cache := rig.StartBazelRemote(t)
	containerd := rig.StartContainerd(t)
	w := loadWorkspace(t, proxy.Host, digest)
	run := func(target string, args ...string) rig.BazelResult {
		t.Helper()
		return w.Bazel(t, "run", append([]string{
			"--remote_cache=" + cache.GRPC, "--remote_download_minimal", "--@drayage//rules/settings:remote_cache=" + cache.GRPC,
			target, "--", "--address=" + containerd.Address,
		}, args...)...)
	}

	// A build makes metadata, and asks for no layer.
	w.Bazel(t, "build", "--remote_cache="+cache.GRPC, "--remote_download_minimal", "//app:load")
	graph := w.Bazel(t, "aquery", "--output=jsonproto", `mnemonic("PushSpec", deps(//app:load))`)
	if strings.Contains(inputsOf(t, graph.Stdout), ".tar") {
		t.Errorf("the action reads a layer:\n%s", inputsOf(t, graph.Stdout))
	}
	if n := layersAsked(proxy, base); n > 0 {
		t.Errorf("the build asked for %d layers of the base", n)
	}

	// All of it moves: the base's two layers, two of the image's own, config and manifest.
	first := run("//app:load")
	if !strings.Contains(first.Stderr, ": 6 blobs moved") || !strings.Contains(first.Stderr, "unpacked for overlayfs") {
		t.Errorf("the load said\n%s", first.Stderr)
	}
	if n := layersAsked(proxy, base); n != 2 {
		t.Errorf("%d layers of the base were asked for", n)
	}
	names := []string{"docker.io/library/app:dev", "registry.example/acme/app:git-0123456789abcdef0123456789abcdef01234567"}
	root := containerd.Image(t, names[0])
	if want := []string{names[0] + "@" + root, names[1] + "@" + root}; !slices.Equal(loaded(first), want) {
		t.Errorf("the load printed %q, want %q", loaded(first), want)
	}
	if other := containerd.Image(t, names[1]); other != root {
		t.Errorf("the names point to %s and %s", root, other)
	}
	before := checkStored(t, containerd, root)
	if n := len(containerd.Snapshots(t, "overlayfs")); n != 4 {
		t.Errorf("%d snapshots of 4 layers", n)
	}

	// Again: nothing moves.
	proxy.Reset()
	again := run("//app:load")
	if !strings.Contains(again.Stderr, ": 0 blobs moved (0 B), 6 there; unpacked for overlayfs") {
		t.Errorf("the second load said\n%s", again.Stderr)
	}
	if n := layersAsked(proxy, base); n > 0 {
		t.Errorf("the second load asked for %d layers of the base", n)
	}

	// One layer changes: it moves, and the config and manifest that name it.
	w.Write(t, "app/settings", "greeting = changed\n")
	changed := run("//app:load")
	if !strings.Contains(changed.Stderr, ": 3 blobs moved") {
		t.Errorf("the load of a changed layer said\n%s", changed.Stderr)
	}
	now := containerd.Image(t, names[0])
	after := checkStored(t, containerd, now)
	for n, layer := range after.Layers {
		if same := layer.Digest == before.Layers[n].Digest; same != (n < 3) {
			t.Errorf("layer %d was %s and is %s", n, before.Layers[n].Digest, layer.Digest)
		}
	}
	if n := layersAsked(proxy, base); n > 0 {
		t.Errorf("the load of a changed layer asked for %d of the base", n)
	}

	// What no name points to any more is collected, and nothing else: there is no lease left.
	containerd.RemoveImage(t, names[1])
	if slices.Contains(containerd.Content(t), root) {
		t.Error("the old manifest is kept")
	}
	checkStored(t, containerd, now)
}

func TestALoadOfAnIndexTakesOnePlatform(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	digest, base := pushBase(t, registry.Host)
	proxy := rig.StartProxy(t, registry.Host)
	containerd := rig.StartContainerd(t)
	w := loadWorkspace(t, proxy.Host, digest)
	// The image's own layers come with the build, and no cache is needed.
	run := func(args ...string) rig.BazelResult {
		t.Helper()
		return w.TryBazel(t, "run", append([]string{
			"--@drayage//rules/settings:push_strategy=eager", "//app:load_index", "--", "--address=" + containerd.Address, "--namespace=moby",
		}, args...)...)
	}
	containerd = containerd.In("moby")

	one := run("--platform=linux/arm64")
	root := containerd.Image(t, "docker.io/library/index:latest")
	if one.ExitCode != 0 || !slices.Equal(loaded(one), []string{"docker.io/library/index:latest@" + root}) {
		t.Fatalf("exit code %d, printed %q\n%s", one.ExitCode, loaded(one), one.Stderr)
	}
	if n := layersAsked(proxy, base); n != 2 {
		t.Errorf("%d layers of the base were asked for, of two platforms with two each", n)
	}
	var index v1.IndexManifest
	check(t, json.Unmarshal(containerd.ReadContent(t, root), &index))
	has := containerd.Content(t)
	for _, m := range index.Manifests {
		isArm := m.Platform.Architecture == "arm64"
		if there := slices.Contains(has, m.Digest.String()); there != isArm {
			t.Errorf("the image for %s is there: %t", m.Platform, there)
		}
		if isArm {
			checkStored(t, containerd, m.Digest.String())
		}
	}

	// The other one comes in beside it.
	proxy.Reset()
	if all := run("--platform=all"); all.ExitCode != 0 || containerd.Image(t, "docker.io/library/index:latest") != root {
		t.Errorf("exit code %d\n%s", all.ExitCode, all.Stderr)
	}
	if n := layersAsked(proxy, base); n != 2 {
		t.Errorf("%d layers of the base were asked for, of which two were there", n)
	}
	for _, m := range index.Manifests {
		checkStored(t, containerd, m.Digest.String())
	}

	none := run("--platform=linux/s390x")
	if none.ExitCode == 0 || !strings.Contains(none.Stderr, "the push spec has no image for linux/s390x: choose one with --platform (linux/amd64, linux/arm64/v8), or load all with --platform=all") {
		t.Errorf("exit code %d\n%s", none.ExitCode, none.Stderr)
	}
}

// recorder is a docker that keeps what it is given to load. Asked for its store
// it answers with a JSON document.
func recorder(t *testing.T, info string) (path, archive string) {
	t.Helper()
	dir := t.TempDir()
	archive = filepath.Join(dir, "archive.tar")
	check(t, os.WriteFile(filepath.Join(dir, "docker"), []byte(`#!/bin/sh
case $1 in
info) cat <<'END'
`+info+`
END
;;
load) cat >`+archive+` && echo "Loaded image: app" ;;
*) exit 1 ;;
esac
`), 0o755))
	return dir + string(filepath.ListSeparator) + os.Getenv("PATH"), archive
}

func TestADockerWithAStoreOfItsOwnGetsTheWholeImage(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	digest, _ := pushBase(t, registry.Host)
	proxy := rig.StartProxy(t, registry.Host)
	w := loadWorkspace(t, proxy.Host, digest)
	w.Replace(t, "MODULE.bazel", `name = "base",`, `name = "base", layer_handling = "eager",`)
	path, archive := recorder(t, `{"Name":"here","DriverStatus":[["Backing Filesystem","extfs"]]}`)
	w.Env = append(w.Env, "PATH="+path)

	const eager = "--@drayage//rules/settings:push_strategy=eager"
	w.Bazel(t, "build", eager, "//app:load")
	proxy.Reset()
	result := w.Bazel(t, "run", eager, "//app:load")
	for _, said := range []string{
		"every layer is sent, even those that docker has: to send only what is missing, turn on its containerd image store",
		"Loaded image: app",
		"docker.io/library/app:dev: 5 blobs moved",
	} {
		if !strings.Contains(result.Stderr, said) {
			t.Errorf("the load does not say %q:\n%s", said, result.Stderr)
		}
	}
	// The base's layers are here as files, and the registry is left alone.
	if n := len(proxy.Requests()); n > 0 {
		t.Errorf("the registry was asked %d times", n)
	}
	// What bazel run executes, a person can execute too.
	before := archived(t, archive)
	check(t, os.Remove(archive))
	cmd := exec.CommandContext(t.Context(), "bazel-bin/app/load.sh")
	cmd.Dir, cmd.Env = w.Dir, append(os.Environ(), "PATH="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	files := archived(t, archive)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("the archive differs (-bazel run +load.sh)\n%s", diff)
	}
	var index v1.IndexManifest
	check(t, json.Unmarshal(files["index.json"], &index))
	root := index.Manifests[0].Digest
	var manifest v1.Manifest
	check(t, json.Unmarshal(files["blobs/sha256/"+root.Hex], &manifest))
	for _, layer := range manifest.Layers {
		if int64(len(files["blobs/sha256/"+layer.Digest.Hex])) != layer.Size {
			t.Errorf("%s is not in the archive as it should be", layer.Digest)
		}
	}
	if printed := loaded(result); len(manifest.Layers) != 4 || len(printed) != 2 || printed[0] != "docker.io/library/app:dev@"+root.String() {
		t.Errorf("the load printed %q, and the archive has %s", printed, root)
	}
	tag := taggedAs(t, "docker.io/library/app:dev").(name.Tag)
	image, err := tarball.ImageFromPath(archive, &tag)
	check(t, err)
	if config, err := image.ConfigName(); err != nil || config != manifest.Config.Digest {
		t.Errorf("docker's older form has the config %s, %v", config, err)
	}
}

// archived are the files of an archive, by path. Blobs have the digests that they
// are called by.
func archived(t *testing.T, archive string) map[string][]byte {
	t.Helper()
	file, err := os.Open(archive)
	check(t, err)
	defer file.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(file); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		check(t, err)
		data, err := io.ReadAll(r)
		check(t, err)
		files[header.Name] = data
		sum := sha256.Sum256(data)
		if hexSum, isBlob := strings.CutPrefix(header.Name, "blobs/sha256/"); isBlob && hexSum != hex.EncodeToString(sum[:]) {
			t.Errorf("%s has other bytes", header.Name)
		}
	}
}

func TestADockerThatKeepsImagesInContainerdIsLoadedThere(t *testing.T) {
	t.Parallel()
	containerd := rig.StartContainerd(t)
	hostname, err := os.Hostname()
	check(t, err)
	path, archive := recorder(t, `{"Name":"`+hostname+`","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],`+
		`"Containerd":{"Address":"`+containerd.Address+`","Namespaces":{"Containers":"moby","Plugins":"plugins.moby"}}}`)
	// Any push spec will do, and another name.
	spec, store := specOf(t, loadedImage(t))
	data, err := spec.Encode()
	check(t, err)
	file := filepath.Join(t.TempDir(), "push.pushspec.json")
	check(t, os.WriteFile(file, data, 0o644))
	args := []string{"load", file, "--tag=server:dev"}
	for digest, layer := range store.blobs {
		path := filepath.Join(t.TempDir(), digest)
		check(t, os.WriteFile(path, layer, 0o644))
		args = append(args, "--blob="+path)
	}
	cmd := exec.CommandContext(t.Context(), rig.Drayage(t), args...)
	cmd.Env = append(os.Environ(), "PATH="+path)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("drayage %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	root := containerd.In("moby").Image(t, "docker.io/library/server:dev")
	if string(out) != "docker.io/library/server:dev@"+root+"\n" {
		t.Errorf("printed %q, and docker's namespace has %q", out, root)
	}
	checkStored(t, containerd.In("moby"), root)
	if _, err := os.Stat(archive); err == nil {
		t.Error("docker was given an archive too")
	}
}
