package e2e_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/e2e/rig"
)

// attributesWorkspace has images in it that say everything that files, flags and
// platforms can say.
func attributesWorkspace(t *testing.T) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	w.Write(t, "MODULE.bazel", w.Read(t, "MODULE.bazel")+"bazel_dep(name = \"platforms\", version = \"0.0.10\")\n")
	w.Write(t, "attributes/program", "#!/bin/sh\n")
	w.Write(t, "attributes/created.txt", "2026-01-02T03:04:05Z\n")
	w.Write(t, "attributes/annotations.txt", "from=file\nwins=no\n")
	w.Write(t, "attributes/fragment.json", `{"config": {"Healthcheck": {"Test": ["CMD", "/health"]}, "User": "fragment"}}`)
	w.Write(t, "attributes/defs.bzl", `"""A program."""

def _program_impl(ctx):
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(executable, "#!/bin/sh\n", is_executable = True)
    return [DefaultInfo(executable = executable, runfiles = ctx.runfiles([ctx.file.src]))]

program = rule(implementation = _program_impl, attrs = {"src": attr.label(allow_single_file = True)}, executable = True)
`)
	w.Write(t, "attributes/BUILD.bazel", `
load("@drayage//rules:image.bzl", "image_from_binary", "image_index", "image_manifest")
load("@drayage//rules:layer.bzl", "image_layer")
load(":defs.bzl", "program")

image_layer(
    name = "layer",
    srcs = {"/app": "program"},
    annotations = {"org.opencontainers.image.title": "app = 1"},
    estargz = "enabled",
)

image_manifest(
    name = "image",
    config_fragment = "fragment.json",
    created_file = "created.txt",
    layers = [":layer"],
    platform = ":arm64",
    user = "attribute",
)

image_index(
    name = "index",
    annotations = {"wins": "yes"},
    annotations_file = "annotations.txt",
    manifests = [":image"],
)

program(name = "app", src = "program")

image_from_binary(
    name = "both",
    binary = ":app",
    include_runfiles = False,
    platforms = [":amd64", ":arm64"],
    push_specs = ["registry.example/both"],
    user = "app",
)

[
    platform(
        name = arch,
        constraint_values = ["@platforms//os:linux", "@platforms//cpu:" + cpu],
    )
    for arch, cpu in {"amd64": "x86_64", "arm64": "aarch64"}.items()
]
`)
	return w
}

func TestImagesAreAsTheirFilesAndPlatformsSay(t *testing.T) {
	t.Parallel()
	w := attributesWorkspace(t)
	w.Bazel(t, "build", "--remote_download_outputs=all", "//attributes:image", "//attributes:index", "//attributes:both")

	// The image is for another platform than the build.
	files := strings.Fields(w.Bazel(t, "cquery", "--output=files", "//attributes:image").Stdout)
	if len(files) != 2 {
		t.Fatalf("the outputs are %q", files)
	}
	manifest, err := v1.ParseManifest(strings.NewReader(w.Read(t, files[0])))
	check(t, err)
	annotations := manifest.Layers[0].Annotations
	if annotations["org.opencontainers.image.title"] != "app = 1" || annotations["containerd.io/snapshot/stargz/toc.digest"] == "" {
		t.Errorf("the layer's annotations are %v", annotations)
	}
	config, err := v1.ParseConfigFile(strings.NewReader(w.Read(t, files[1])))
	check(t, err)
	if config.Architecture != "arm64" || config.Created.UTC().Format("2006-01-02T15:04:05Z") != "2026-01-02T03:04:05Z" {
		t.Errorf("the image is of %s, for %s", config.Created, config.Architecture)
	}
	if config.Config.Healthcheck == nil || config.Config.User != "attribute" {
		t.Errorf("the config is %+v", config.Config)
	}

	// Who names the image in a file of its own can have its digest from the build.
	w.Bazel(t, "build", "--remote_download_outputs=all", "--output_groups=digest", "//attributes:image", "//attributes:index")
	for file, of := range map[string]string{
		strings.TrimSuffix(files[0], ".manifest.json") + ".digest": files[0],
		"bazel-bin/attributes/index.digest":                        "bazel-bin/attributes/index.index.json",
	} {
		hash, _, err := v1.SHA256(strings.NewReader(w.Read(t, of)))
		check(t, err)
		if got := w.Read(t, file); got != hash.String()+"\n" {
			t.Errorf("%s says %q, and the digest is %s", file, got, hash)
		}
	}

	index := readIndex(t, w, "index")
	if len(index.Manifests) != 1 || index.Annotations["from"] != "file" || index.Annotations["wins"] != "yes" {
		t.Errorf("the index is %+v", index)
	}
	both := readIndex(t, w, "both")
	if len(both.Manifests) != 2 || both.Manifests[0].Platform.Architecture != "amd64" || both.Manifests[1].Platform.Architecture != "arm64" {
		t.Errorf("the index of the program is %+v", both)
	}
	if spec := w.Read(t, filepath.Join("bazel-bin", "attributes", "both.1.pushspec.json")); !strings.Contains(spec, "registry.example") {
		t.Errorf("the push spec of the index is %s", spec)
	}
	if list := w.Bazel(t, "aquery", "--include_artifacts", `mnemonic("FileWrite", //attributes:both_layer)`).Stdout; strings.Contains(list, ".runfiles") {
		t.Errorf("the layer has runfiles:\n%s", list)
	}
}

func readIndex(t *testing.T, w *rig.Workspace, name string) *v1.IndexManifest {
	t.Helper()
	index, err := v1.ParseIndexManifest(bytes.NewReader([]byte(w.Read(t, filepath.Join("bazel-bin", "attributes", name+".index.json")))))
	check(t, err)
	return index
}
