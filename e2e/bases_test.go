package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/drayage/drayage/e2e/rig"
)

// listed is an image of an index.
type listed struct {
	// platform is what the index says, nil for nothing.
	platform *v1.Platform
	// config is what the image's config says.
	config v1.Platform
}

// pushListed pushes an index to a repository of a registry, and returns its digest.
func pushListed(t *testing.T, registry, repository string, images ...listed) string {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, l := range images {
		image, err := random.Image(1000, 1)
		check(t, err)
		config, err := image.ConfigFile()
		check(t, err)
		config = config.DeepCopy()
		config.OS, config.Architecture, config.Variant = l.config.OS, l.config.Architecture, l.config.Variant
		image, err = mutate.ConfigFile(image, config)
		check(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: l.platform}})
	}
	tag, err := name.NewTag(registry + "/" + repository + ":1")
	check(t, err)
	check(t, remote.WriteIndex(tag, index))
	digest, err := index.Digest()
	check(t, err)
	return digest.String()
}

// onBase is a workspace with a base pulled as @base, and platforms.
func onBase(t *testing.T, registry, repository, digest, build string) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	w.Write(t, "MODULE.bazel", w.Read(t, "MODULE.bazel")+fmt.Sprintf(`
bazel_dep(name = "platforms", version = "0.0.10")

pull = use_repo_rule("@drayage//rules:pull.bzl", "pull")

pull(
    name = "base",
    digest = %q,
    registry = %q,
    repository = %q,
)
`, digest, registry, repository))
	w.Write(t, "app/BUILD.bazel", `
load("@drayage//rules:image.bzl", "INHERIT_FROM_BASE", "image_index", "image_manifest")
load("@drayage//rules:push.bzl", "image_push")

[
    platform(
        name = arch,
        constraint_values = ["@platforms//os:linux", "@platforms//cpu:" + cpu],
    )
    for arch, cpu in {"amd64": "x86_64", "arm64": "aarch64", "armv7": "armv7", "riscv64": "riscv64"}.items()
]
`+build)
	return w
}

var (
	amd64Platform = v1.Platform{OS: "linux", Architecture: "amd64"}
	arm64Platform = v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	armv6Platform = v1.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}
)

func TestABaseForAnotherPlatformIsAnErrorOrAWarning(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	digest := pushListed(t, registry.Host, "library/base",
		listed{&amd64Platform, amd64Platform}, listed{&arm64Platform, arm64Platform}, listed{&armv6Platform, armv6Platform})
	w := onBase(t, registry.Host, "library/base", digest, `
image_manifest(
    name = "right",
    base = "@base",
)

image_manifest(
    name = "wrong",
    base = "@base//:linux_arm64_v8",
)

image_manifest(
    name = "said",
    base = "@base//:linux_arm64_v8",
    platform = ":arm64",
)

image_manifest(
    name = "older",
    base = "@base//:linux_arm_v6",
    platform = ":armv7",
)

image_index(
    name = "everywhere",
    manifests = [":wrong"],
    platforms = [":arm64", ":amd64"],
)
`)
	const onAMD64 = "--platforms=//app:amd64"
	w.Bazel(t, "build", onAMD64, "//app:right", "//app:said", "//app:older")
	w.Bazel(t, "build", "--platforms=//app:arm64", "//app:right", "//app:wrong")
	for _, target := range []string{"//app:wrong", "//app:everywhere"} {
		failed := w.TryBazel(t, "build", onAMD64, target)
		for _, want := range []string{
			"image @@//app:wrong is built for linux/amd64, and its base @@", "base//:linux_arm64_v8 is for linux/arm64/v8. Use the base for linux/amd64",
			"or build the image for linux/arm64/v8", "To allow the mismatch, pass --@drayage//rules/settings:base_platform=warn",
		} {
			if failed.ExitCode == 0 || !strings.Contains(failed.Stderr, want) {
				t.Errorf("%s: exit code %d, without %q:\n%s", target, failed.ExitCode, want, failed.Stderr)
			}
		}
	}
	const warning = "drayage: warning: image @@//app:wrong is built for linux/amd64"
	warned := w.Bazel(t, "build", onAMD64, "--@drayage//rules/settings:base_platform=warn", "//app:wrong", "//app:right")
	if strings.Count(warned.Stderr, "drayage: warning: ") != 1 || !strings.Contains(warned.Stderr, warning) {
		t.Errorf("no warning, or another:\n%s", warned.Stderr)
	}
	if config := w.Read(t, "bazel-bin/app/wrong.config.json"); !strings.Contains(config, `"architecture":"arm64"`) {
		t.Errorf("the config is not that of the base: %s", config)
	}
	if ignored := w.Bazel(t, "build", onAMD64, "--@drayage//rules/settings:base_platform=ignore", "//app:wrong"); strings.Contains(ignored.Stderr, "warning: image") {
		t.Errorf("what is to be ignored is told:\n%s", ignored.Stderr)
	}
}

// An index says what its images are for, or leaves it to their configs, and either can
// say less than the other.
func TestAPlatformIsKeptFromAnIndexToTheNextOne(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	arm := v1.Platform{OS: "linux", Architecture: "arm"}
	digest := pushListed(t, registry.Host, "library/base", listed{nil, amd64Platform}, listed{nil, arm64Platform}, listed{&armv6Platform, arm})
	w := onBase(t, registry.Host, "library/base", digest, fmt.Sprintf(`
image_manifest(
    name = "app",
    base = "@base",
    labels = {"built": "yes"},
)

image_index(
    name = "everywhere",
    manifests = [":app"],
    platforms = [":amd64", ":arm64", ":armv7"],
)

image_index(
    name = "as_pulled",
    manifests = ["@base//:linux_arm_v6", "@base//:linux_amd64"],
)

[
    image_push(
        name = "push_" + index,
        image = ":" + index,
        registry = %q,
        repository = index,
        tag = "1",
    )
    for index in ["everywhere", "as_pulled"]
]
`, registry.Host))
	targets := strings.Fields(w.Bazel(t, "query", "kind(image_import, @base//...)").Stdout)
	for i, want := range []string{"//:linux_amd64", "//:linux_arm64_v8", "//:linux_arm_v6"} {
		if len(targets) != 3 || !strings.HasSuffix(targets[i], want) {
			t.Fatalf("@base has the images %v", targets)
		}
	}
	for index, want := range map[string][]string{
		"everywhere": {"linux/amd64", "linux/arm64/v8", "linux/arm/v6"},
		"as_pulled":  {"linux/arm/v6", "linux/amd64"},
	} {
		w.Bazel(t, "run", "//app:push_"+index)
		tag, err := name.NewTag(registry.Host + "/" + index + ":1")
		check(t, err)
		pushed, err := remote.Index(tag)
		check(t, err)
		manifest, err := pushed.IndexManifest()
		check(t, err)
		var got []string
		for _, d := range manifest.Manifests {
			got = append(got, d.Platform.String())
			image, err := pushed.Image(d.Digest)
			check(t, err)
			wantWhole(t, image)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the platforms of %s (-want +got):\n%s", index, diff)
		}
	}
	refused := w.TryBazel(t, "build", "--platforms=//app:riscv64", "//app")
	if want := "has no image for the target platform; it has images for linux_amd64, linux_arm64_v8, linux_arm_v6"; refused.ExitCode == 0 || !strings.Contains(refused.Stderr, want) {
		t.Errorf("exit code %d, without %q:\n%s", refused.ExitCode, want, refused.Stderr)
	}
}
