package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/e2e/rig"
)

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
