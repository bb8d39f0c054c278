package e2e_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/e2e/rig"
	"github.com/drayage/drayage/pushspec"
)

// baseWorkspace has the quick start of the manual in it: a base, a layer, an
// image, an index over two platforms, and a push of each.
func baseWorkspace(t *testing.T, registry, digest string) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	w.Write(t, "MODULE.bazel", w.Read(t, "MODULE.bazel")+`
bazel_dep(name = "platforms", version = "0.0.10")

pull = use_repo_rule("@drayage//rules:pull.bzl", "pull")

pull(
    name = "base",
    registry = "`+registry+`",
    repository = "library/base",
    tag = "24.04",
    digest = "`+digest+`",
)
`)
	w.Write(t, "app/program", "#!/bin/sh\necho hello\n")
	w.Write(t, "app/BUILD.bazel", `
load("@drayage//rules:image.bzl", "image_index", "image_manifest")
load("@drayage//rules:layer.bzl", "image_layer")
load("@drayage//rules:push.bzl", "image_push", "multi_push")

image_layer(
    name = "app_layer",
    srcs = {"/app/bin/program": "program"},
    modes = {"/app/bin/program": "0755"},
    owner = "1000:1000",
    compress = "zstd",
)

image_manifest(
    name = "app",
    base = "@base",
    layers = [":app_layer"],
    entrypoint = ["/app/bin/program"],
    env = {"PATH": "/app/bin:${PATH}"},
    exposed_ports = ["8080"],
)

image_index(
    name = "index",
    manifests = [":app"],
    platforms = [":amd64", ":arm64"],
)

[
    platform(
        name = arch,
        constraint_values = ["@platforms//os:linux", "@platforms//cpu:" + cpu],
    )
    for arch, cpu in {"amd64": "x86_64", "arm64": "aarch64"}.items()
]

image_push(
    name = "push_app",
    image = ":app",
    registry = "`+registry+`",
    repository = "my-project/app",
    tag = "latest",
)

image_push(
    name = "push_index",
    image = ":index",
    registry = "`+registry+`",
    repository = "my-project/index",
    tag = "git-{BUILD_SCM_REVISION}",
)

multi_push(
    name = "push_all",
    pushes = [":push_app", ":push_index"],
)
`)
	return w
}

// pushBase pushes an index of two platforms, of two layers each.
func pushBase(t *testing.T, registry string, options ...remote.Option) (digest string, layers map[string]bool) {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	layers = map[string]bool{}
	for _, platform := range []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64", Variant: "v8"}} {
		image, err := random.Image(1<<20, 2)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
		config.Config.Env = []string{"PATH=/usr/bin"}
		if image, err = mutate.ConfigFile(image, config); err != nil {
			t.Fatal(err)
		}
		manifest, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range manifest.Layers {
			layers[l.Digest.String()] = true
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	ref, err := name.NewTag(registry + "/library/base:24.04")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index, options...); err != nil {
		t.Fatal(err)
	}
	hash, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String(), layers
}

func TestAnImageIsBuiltOnABaseWithoutItsLayers(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	digest, layers := pushBase(t, registry.Host)
	proxy := rig.StartProxy(t, registry.Host)
	cache := rig.StartBazelRemote(t)
	w := baseWorkspace(t, proxy.Host, digest)

	w.Bazel(t, "build", "--remote_cache="+cache.GRPC, "--remote_download_minimal", "//app/...")
	for _, r := range proxy.Requests() {
		if _, blob, found := strings.Cut(r.URL.Path, "/blobs/"); found && layers[blob] {
			t.Errorf("the build asked for a layer of the base: %s %s", r.Method, r.URL.Path)
		}
	}

	// Actions that assemble have no layer among their inputs.
	graph := w.Bazel(t, "aquery", "--output=jsonproto", `mnemonic("ImageManifest|ImageIndex|PushSpec", deps(//app:push_index))`)
	if strings.Contains(inputsOf(t, graph.Stdout), ".tar") {
		t.Errorf("an action that assembles reads a layer:\n%s", inputsOf(t, graph.Stdout))
	}

	// The push from here takes the base's layers from the registry, and mounts them.
	result := w.Bazel(t, "run", "--remote_cache="+cache.GRPC, "--@drayage//rules/settings:remote_cache="+cache.GRPC, "//app:push_all")
	if !strings.Contains(result.Stdout, "my-project/index@sha256:") {
		t.Errorf("bazel run printed %q", result.Stdout)
	}
	index, err := remote.Index(taggedAs(t, registry.Host+"/my-project/index:git-0123456789abcdef0123456789abcdef01234567"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 2 || manifest.Manifests[1].Platform.Architecture != "arm64" {
		t.Errorf("the index lists %+v", manifest.Manifests)
	}
	image := rig.PullImage(t, registry.Host+"/my-project/app:latest")
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if len(config.RootFS.DiffIDs) != 3 || config.Config.Env[0] != "PATH=/app/bin:/usr/bin" {
		t.Errorf("the config is %+v", config)
	}
	found := false
	for _, h := range rig.Unpack(t, image, t.TempDir()) {
		if h.Name == "app/bin/program" {
			found = h.Typeflag == tar.TypeReg && h.Mode == 0o755 && h.Uid == 1000 && h.Gid == 1000 && h.ModTime.Unix() == 0
		}
	}
	if !found {
		t.Error("the program is not in the image as it should be")
	}
}

func TestAPullWithoutDigestSaysWhichOneIsMissing(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	digest, _ := pushBase(t, registry.Host)
	w := baseWorkspace(t, registry.Host, "")
	result := w.TryBazel(t, "build", "//app")
	if result.ExitCode == 0 || !strings.Contains(result.Stderr, `digest = "`+digest+`"`) {
		t.Errorf("exit code %d\n%s", result.ExitCode, result.Stderr)
	}
}

func TestTwoFoldersGiveTheSameImages(t *testing.T) {
	t.Parallel()
	var specs [2]string
	for i := range specs {
		w := rig.NewWorkspace(t)
		w.Bazel(t, "build", "--remote_download_outputs=all", "//:push_prod", "//:push_staging")
		for _, target := range []string{"push_prod", "push_staging"} {
			specs[i] += w.Read(t, filepath.Join("bazel-bin", target+pushspec.FileSuffix))
		}
	}
	if specs[0] != specs[1] {
		t.Errorf("the push specs differ:\n%s\n%s", specs[0], specs[1])
	}
}

func TestAChangedSourceRunsOneLayerOneManifestAndOneSpec(t *testing.T) {
	t.Parallel()
	w := rig.NewWorkspace(t)
	w.Bazel(t, "build", "//...")
	w.Write(t, "config/staging", "greeting = changed\n")
	log := filepath.Join(t.TempDir(), "log.json")
	w.Bazel(t, "build", "--execution_log_json_file="+log, "//...")
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]int{}
	for decoder := jsontext.NewDecoder(bytes.NewReader(data)); decoder.PeekKind() != 0; {
		var spawn struct {
			Mnemonic string `json:"mnemonic"`
		}
		if err := json.UnmarshalDecode(decoder, &spawn); err != nil {
			t.Fatal(err)
		}
		ran[spawn.Mnemonic]++
	}
	if len(ran) != 3 || ran["ImageLayer"] != 1 || ran["ImageManifest"] != 1 || ran["PushSpec"] != 1 {
		t.Errorf("these actions ran: %v", ran)
	}
}

func taggedAs(t *testing.T, text string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// inputsOf are the files that the actions of an aquery read, one a line.
func inputsOf(t *testing.T, graph string) string {
	t.Helper()
	var parsed struct {
		Actions []struct {
			InputDepSetIDs []int `json:"inputDepSetIds"`
		}
		DepSetOfFiles []struct {
			ID                  int
			DirectArtifactIDs   []int `json:"directArtifactIds"`
			TransitiveDepSetIDs []int `json:"transitiveDepSetIds"`
		}
		Artifacts     []struct{ ID, PathFragmentID int }
		PathFragments []struct {
			ID    int
			Label string
		}
	}
	if err := json.Unmarshal([]byte(graph), &parsed, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	labels, artifacts := map[int]string{}, map[int]string{}
	for _, f := range parsed.PathFragments {
		labels[f.ID] = f.Label
	}
	for _, a := range parsed.Artifacts {
		artifacts[a.ID] = labels[a.PathFragmentID]
	}
	direct, below := map[int][]int{}, map[int][]int{}
	for _, set := range parsed.DepSetOfFiles {
		direct[set.ID], below[set.ID] = set.DirectArtifactIDs, set.TransitiveDepSetIDs
	}
	var lines []string
	var walk func([]int)
	walk = func(sets []int) {
		for _, set := range sets {
			for _, a := range direct[set] {
				lines = append(lines, artifacts[a])
			}
			walk(below[set])
		}
	}
	for _, action := range parsed.Actions {
		walk(action.InputDepSetIDs)
	}
	if len(lines) == 0 {
		t.Fatal("the query found no inputs")
	}
	return strings.Join(lines, "\n")
}
