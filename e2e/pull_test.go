package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/e2e/rig"
)

// TestBasesArePulledByTheModuleExtension has one workspace with three bases, of
// one image: by way of a mirror, whole, and for one platform.
func TestBasesArePulledByTheModuleExtension(t *testing.T) {
	t.Parallel()
	storage := rig.StartRegistry(t)
	digest, layers := pushBase(t, storage.Host)
	registry, mirror := rig.StartProxy(t, storage.Host), rig.StartProxy(t, storage.Host)
	nobody := rig.FreeAddress(t)

	w := rig.NewWorkspace(t)
	w.Write(t, "MODULE.bazel", w.Read(t, "MODULE.bazel")+fmt.Sprintf(`
bazel_dep(name = "platforms", version = "0.0.10")

images = use_extension("@drayage//rules:extensions.bzl", "images")

[
    images.pull(
        name = name,
        digest = %[1]q,
        layer_handling = handling,
        mirrors = mirrors,
        platforms = platforms,
        registry = %[2]q,
        repository = "library/base",
        tag = "24.04",
    )
    for name, handling, mirrors, platforms in [
        ("mirrored", "shallow", [%[3]q, %[4]q], []),
        ("whole", "eager", [], []),
        ("single", "shallow", [], ["linux/arm64"]),
    ]
]

use_repo(images, "mirrored", "single", "whole")
`, digest, registry.Host, nobody, mirror.Host))
	w.Write(t, "app/tags", "from-file\n\ngit-{BUILD_SCM_REVISION}\n")
	w.Write(t, "app/env", "# A comment\nFROM_FILE=1\nBOTH=file\n")
	w.Write(t, "app/labels", "from.file=1\nboth=file\n")
	w.Write(t, "app/annotations", "from.file=1\nboth=file\n")
	w.Write(t, "app/BUILD.bazel", fmt.Sprintf(`
load("@drayage//rules:image.bzl", "image_manifest")
load("@drayage//rules:push.bzl", "image_push")

platform(
    name = "amd64",
    constraint_values = ["@platforms//os:linux", "@platforms//cpu:x86_64"],
)

image_manifest(
    name = "app",
    annotations = {"both": "attribute"},
    annotations_file = "annotations",
    base = "@whole",
    env = {"BOTH": "attribute", "PATH": "/app:${PATH}"},
    env_file = "env",
    labels = {"both": "attribute"},
    labels_file = "labels",
)

image_push(
    name = "push",
    image = ":app",
    registry = %q,
    repository = "pulled/app",
    strategy = "eager",
    tag_file = "tags",
)
`, registry.Host))

	t.Run("a mirror is asked first, and one that is not there is passed by", func(t *testing.T) {
		w.Bazel(t, "build", "@mirrored//...")
		if asked := len(registry.Requests()); asked > 0 {
			t.Errorf("the registry got %d requests", asked)
		}
		for _, r := range mirror.Requests() {
			if _, blob, found := strings.Cut(r.URL.Path, "/blobs/"); found && layers[blob] {
				t.Errorf("the pull asked for a layer: %s %s", r.Method, r.URL.Path)
			}
		}
	})

	t.Run("a platform that is not wanted is not there", func(t *testing.T) {
		targets := strings.Fields(w.Bazel(t, "query", "kind(image_import, @single//...)").Stdout)
		if len(targets) != 1 || !strings.HasSuffix(targets[0], ":linux_arm64_v8") {
			t.Errorf("@single has the images %v", targets)
		}
		targets = strings.Fields(w.Bazel(t, "query", "kind(image_import, @mirrored//...)").Stdout)
		if len(targets) != 2 {
			t.Errorf("@mirrored has the images %v", targets)
		}
	})

	t.Run("eager layers are files of the build", func(t *testing.T) {
		w.Bazel(t, "build", "--output_groups=blobs", "@whole//...")
		files := strings.Fields(w.Bazel(t, "cquery", "--output=files", "--output_groups=blobs", "kind(image_import, @whole//...)").Stdout)
		root := strings.TrimSpace(w.Bazel(t, "info", "execution_root").Stdout)
		got := map[string]bool{}
		for _, file := range files {
			content, err := os.ReadFile(filepath.Join(root, file))
			check(t, err)
			got[fmt.Sprintf("sha256:%x", sha256.Sum256(content))] = true
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(layers)), slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("layers (-want +got):\n%s", diff)
		}
	})

	t.Run("the root module decides between modules that disagree", func(t *testing.T) {
		root := w.Read(t, "MODULE.bazel")
		for i, module := range []string{"one", "other"} {
			root += fmt.Sprintf("\nbazel_dep(name = %[1]q)\nlocal_path_override(module_name = %[1]q, path = %[1]q)\n", module)
			w.Write(t, module+"/MODULE.bazel", fmt.Sprintf(`
module(name = %[1]q)

bazel_dep(name = "drayage", version = "0.1.0")

images = use_extension("@drayage//rules:extensions.bzl", "images")
images.pull(name = "single", digest = "sha256:%064[2]d", registry = "registry.example", repository = %[1]q)
images.pull(name = "shared", digest = "sha256:%064[2]d", registry = "registry.example", repository = %[1]q)
`, module, i))
		}
		w.Write(t, "MODULE.bazel", root)
		result := w.TryBazel(t, "build", "@single//...")
		if want := `the modules one and other pull different images as "shared". Add an images.pull of that name to the root module`; result.ExitCode == 0 || !strings.Contains(result.Stderr, want) {
			t.Errorf("exit code %d\n%s", result.ExitCode, result.Stderr)
		}
		w.Write(t, "MODULE.bazel", root+fmt.Sprintf("\nimages.pull(name = \"shared\", digest = %q, registry = %q, repository = \"library/base\")\n", digest, registry.Host))
		w.Bazel(t, "build", "@single//...")
	})

	t.Run("tags, environment, labels and annotations come from files", func(t *testing.T) {
		w.Bazel(t, "run", "--platforms=//app:amd64", "//app:push")
		image := rig.PullImage(t, storage.Host+"/pulled/app:from-file")
		same := rig.PullImage(t, storage.Host+"/pulled/app:git-0123456789abcdef0123456789abcdef01234567")
		wantSame(t, image, same)
		config, err := image.ConfigFile()
		check(t, err)
		manifest, err := image.Manifest()
		check(t, err)
		want := map[string]string{"from.file": "1", "both": "attribute"}
		if diff := cmp.Diff([]any{[]string{"PATH=/app:/usr/bin", "BOTH=attribute", "FROM_FILE=1"}, want, want, "amd64"},
			[]any{config.Config.Env, config.Config.Labels, manifest.Annotations, config.Architecture}); diff != "" {
			t.Errorf("environment, labels, annotations (-want +got):\n%s", diff)
		}
		wantWhole(t, image)
	})
}

func wantSame(t *testing.T, a, b v1.Image) {
	t.Helper()
	one, err := a.Digest()
	check(t, err)
	other, err := b.Digest()
	check(t, err)
	if one != other {
		t.Errorf("the tags lead to %s and %s", one, other)
	}
}
