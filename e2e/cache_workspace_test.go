package e2e_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// cacheLayerSize is the size of the layer that the tests of caches lose: far more than
// all else that their builds move.
const cacheLayerSize = 3 << 20

const cacheBuild = `load("@drayage//rules:image.bzl", "image_manifest")
load("@drayage//rules:layer.bzl", "image_layer")
load("@drayage//rules:load.bzl", "image_load")
load("@drayage//rules:push.bzl", "image_push", "multi_push")

image_layer(
    name = "layer",
    srcs = {"/data": "data.bin"},
)

image_manifest(
    name = "image",
    layers = [":layer"],
)

image_push(
    name = "push",
    image = ":image",
    registry = "registry.example",
    repository = "acme/app",
    tag = "latest",
)

multi_push(
    name = "push_all",
    pushes = [":push"],
)

image_load(
    name = "load",
    image = ":image",
    tag = "app:dev",
)
`

// cacheWorkspace is a workspace with one image of one layer, which cannot be
// compressed.
func cacheWorkspace(t *testing.T) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	w.Write(t, "app/BUILD.bazel", cacheBuild)
	data := make([]byte, cacheLayerSize)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // never fails
	check(t, os.WriteFile(filepath.Join(w.Dir, "app/data.bin"), data, 0o644))
	return w
}

// uploading are the flags by which Bazel uploads the layers that it has and the
// remote cache has not, as the README's .bazelrc has them.
var uploading = []string{"--remote_build_event_upload=all", "--output_groups=+blobs"}

// runsLean takes one of them back for bazel run, which brings all that was asked for
// to this machine, whatever --remote_download_outputs says.
const runsLean = "--output_groups=-blobs"
