package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

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

// A Windows base has a layer that its publisher alone hands out.
func TestALayerThatIsNotToBeDistributedIsLeftWhereItIs(t *testing.T) {
	t.Parallel()
	registry := rig.StartForeignRegistry(t)
	foreign, err := random.Layer(5000, types.DockerForeignLayer)
	check(t, err)
	var handedOut atomic.Int64
	publisher := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		handedOut.Add(1)
		content, err := foreign.Compressed()
		if err == nil {
			_, err = io.Copy(w, content)
		}
		if err != nil {
			t.Errorf("hand out the layer: %v", err)
		}
	}))
	defer publisher.Close()
	ordinary, err := random.Layer(1000, types.DockerLayer)
	check(t, err)
	base, err := mutate.Append(mutate.MediaType(empty.Image, types.DockerManifestSchema2),
		mutate.Addendum{Layer: foreign, MediaType: types.DockerForeignLayer, URLs: []string{publisher.URL + "/layer"}}, mutate.Addendum{Layer: ordinary})
	check(t, err)
	config, err := base.ConfigFile()
	check(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.OSVersion = "windows", "amd64", "10.0.17763.4377"
	base, err = mutate.ConfigFile(base, config)
	check(t, err)
	tag, err := name.NewTag(registry.Host + "/library/windows:1")
	check(t, err)
	check(t, remote.Write(tag, base))
	digest, err := base.Digest()
	check(t, err)
	layer, err := foreign.Digest()
	check(t, err)

	strict, proxy := rig.StartRegistry(t), rig.StartProxy(t, registry.Host)
	w := onBase(t, proxy.Host, "library/windows", digest.String(), fmt.Sprintf(`
load("@drayage//rules:layer.bzl", "image_layer")
load("@drayage//rules:load.bzl", "image_load")

platform(
    name = "windows",
    constraint_values = ["@platforms//os:windows", "@platforms//cpu:x86_64"],
)

image_layer(
    name = "layer",
    srcs = {"/Files/app": "app"},
)

[
    image_manifest(
        name = base,
        base = "@" + base,
        layers = [":layer"],
        platform = ":windows",
    )
    for base in ["base", "eager"]
]

[
    image_push(
        name = "push_" + name,
        image = ":" + image,
        registry = registry,
        repository = name,
        strategy = "eager",
        tag = "1",
    )
    for name, image, registry in [
        ("shallow", "base", %[1]q),
        ("eager", "eager", %[1]q),
        ("strict", "eager", %[2]q),
    ]
]

image_load(
    name = "load",
    image = ":base",
    strategy = "eager",
    tag = "app:dev",
)
`, registry.Host, strict.Host))
	w.Write(t, "app/app", "an application\n")
	module := w.Read(t, "MODULE.bazel")
	_, pull, _ := strings.Cut(module, "\npull(")
	w.Write(t, "MODULE.bazel", module+strings.Replace("\npull("+pull, `name = "base"`, `name = "eager", layer_handling = "eager"`, 1))

	for _, push := range []string{"shallow", "eager"} {
		w.Bazel(t, "run", "//app:push_"+push)
		image := rig.PullImage(t, registry.Host+"/"+push+":1")
		manifest, err := image.Manifest()
		check(t, err)
		want := v1.Descriptor{MediaType: types.OCIRestrictedLayer, Digest: layer, Size: manifest.Layers[0].Size, URLs: []string{publisher.URL + "/layer"}}
		if diff := cmp.Diff(want, manifest.Layers[0]); diff != "" || len(manifest.Layers) != 3 {
			t.Errorf("%s: %d layers, and the first (-want +got):\n%s", push, len(manifest.Layers), diff)
		}
	}
	failed := w.TryBazel(t, "run", "//app:push_strict")
	want := "the image has layers that must not be distributed, so they were not sent: " + layer.String() + ". Have the registry accept them by their urls"
	if failed.ExitCode == 0 || !strings.Contains(failed.Stderr, want) {
		t.Errorf("exit code %d, without %q:\n%s", failed.ExitCode, want, failed.Stderr)
	}
	for _, r := range proxy.Requests() {
		if strings.Contains(r.URL.Path, layer.Hex) {
			t.Errorf("the registry was asked for the layer: %s %s", r.Method, r.URL)
		}
	}
	loading := w.TryBazel(t, "run", "//app:load", "--", "--address="+rig.StartContainerd(t).Address)
	for _, want := range []string{layer.String(), fmt.Sprintf("is nondistributable, so it was not pulled: its publisher offers it at %q; fetch it, and give the file with --blob", publisher.URL+"/layer")} {
		if loading.ExitCode == 0 || !strings.Contains(loading.Stderr, want) {
			t.Errorf("exit code %d, without %q:\n%s", loading.ExitCode, want, loading.Stderr)
		}
	}
	if n := handedOut.Load(); n != 0 {
		t.Errorf("the publisher was asked %d times", n)
	}
	for _, push := range []string{"shallow", "eager"} {
		answer, err := http.Head("http://" + registry.Host + "/v2/" + push + "/blobs/" + layer.String())
		check(t, err)
		check(t, answer.Body.Close())
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: the registry has the layer: %s", push, answer.Status)
		}
	}
}

// raw is a manifest as it is.
type raw struct {
	data      []byte
	mediaType types.MediaType
}

func (r raw) RawManifest() ([]byte, error)        { return r.data, nil }
func (r raw) MediaType() (types.MediaType, error) { return r.mediaType, nil }

// pushConfig pushes an image with a config that somebody's tool wrote, and layers of
// these media types, as docker does. It returns the digest.
func pushConfig(t *testing.T, registry, repository string, config []byte, layers ...types.MediaType) string {
	t.Helper()
	repo, err := name.NewRepository(registry + "/" + repository)
	check(t, err)
	var descriptors []v1.Descriptor
	for i, mediaType := range append([]types.MediaType{types.DockerConfigJSON}, layers...) {
		layer := static.NewLayer(config, mediaType)
		if i > 0 {
			layer = static.NewLayer(fmt.Appendf(nil, "layer %d", i), mediaType)
		}
		check(t, remote.WriteLayer(repo, layer))
		d, err := partial.Descriptor(layer)
		check(t, err)
		descriptors = append(descriptors, *d)
	}
	data, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Config: descriptors[0], Layers: descriptors[1:]})
	check(t, err)
	check(t, remote.Put(repo.Tag("1"), raw{data, types.DockerManifestSchema2}))
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	check(t, err)
	return digest.String()
}

// What docker wrote into the base, and nobody here knows, is in the image.
func TestWhatABaseSaysIsInTheImageUponIt(t *testing.T) {
	t.Parallel()
	registry := rig.StartRegistry(t)
	config, err := os.ReadFile(filepath.Join(rig.Root(t), "internal", "image", "testdata", "configs", "docker.json"))
	check(t, err)
	digest := pushConfig(t, registry.Host, "library/base", config, types.DockerLayer, "application/vnd.docker.image.rootfs.diff.tar.zstd")
	w := onBase(t, registry.Host, "library/base", digest, fmt.Sprintf(`
image_manifest(
    name = "kept",
    base = "@base",
)

image_manifest(
    name = "nothing",
    base = "@base",
    cmd = [],
    entrypoint = [],
    unset_env = ["APACHE_*"],
    unset_labels = ["*"],
    user = "",
    working_dir = "",
)

image_manifest(
    name = "more",
    base = "@base",
    cmd = [INHERIT_FROM_BASE, "-X"],
    config_fragment = "fragment.json",
    entrypoint = ["tini", "--", INHERIT_FROM_BASE],
)

[
    image_push(
        name = "push_" + image,
        image = ":" + image,
        registry = %q,
        repository = image,
        tag = "1",
    )
    for image in ["kept", "nothing", "more"]
]
`, registry.Host))
	w.Write(t, "app/fragment.json", `{"container_config": null, "config": {"Healthcheck": {"StartInterval": 250000000}, "OnBuild": null, "ExposedPorts": {"443/tcp": null}, "Memory": 12345678901234567890}}`)

	pushed := func(image string) (*v1.Manifest, *v1.ConfigFile, string) {
		w.Bazel(t, "run", "--platforms=//app:amd64", "//app:push_"+image)
		pulled := rig.PullImage(t, registry.Host+"/"+image+":1")
		manifest, err := pulled.Manifest()
		check(t, err)
		file, err := pulled.ConfigFile()
		check(t, err)
		text, err := pulled.RawConfigFile()
		check(t, err)
		return manifest, file, string(text)
	}
	manifest, kept, text := pushed("kept")
	if diff := cmp.Diff([]types.MediaType{types.OCILayer, types.OCILayerZStd}, []types.MediaType{manifest.Layers[0].MediaType, manifest.Layers[1].MediaType}); diff != "" {
		t.Errorf("media types of layers (-want +got):\n%s", diff)
	}
	for _, want := range []string{`"StartInterval":1000000000`, `"StopTimeout":45`, `"container_config":{"Hostname":"8d0f7a7e6b3d"`, `"OnBuild":["COPY . /var/www/html","RUN composer install"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("the config lacks %s: %s", want, text)
		}
	}
	_, nothing, _ := pushed("nothing")
	want := kept.Config
	want.Entrypoint, want.Cmd, want.Labels, want.User, want.WorkingDir, want.Env = nil, nil, nil, "", "", kept.Config.Env[:1]
	if diff := cmp.Diff(want, nothing.Config); diff != "" {
		t.Errorf("what was taken away (-want +got):\n%s", diff)
	}
	_, more, text := pushed("more")
	if diff := cmp.Diff([][]string{{"tini", "--", "docker-php-entrypoint"}, {"apache2-foreground", "-X"}}, [][]string{more.Config.Entrypoint, more.Config.Cmd}); diff != "" {
		t.Errorf("what goes on (-want +got):\n%s", diff)
	}
	if strings.Contains(text, "container_config") || strings.Contains(text, "OnBuild") || strings.Contains(text, "443/tcp") ||
		!strings.Contains(text, `"StartInterval":250000000,"Retries":3`) || !strings.Contains(text, `"Memory":12345678901234567890`) {
		t.Errorf("the fragment is not in the config: %s", text)
	}
}
