package e2e_test

import (
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// endingsWorkspace has two images that are released together, and everything that keeps a
// build from ending well. The metadata CELL names the folder of their repositories.
func endingsWorkspace(t *testing.T) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	const load = `
load("@drayage//rules:image.bzl", "image_manifest")
load("@drayage//rules:layer.bzl", "image_layer")
load("@drayage//rules:push.bzl", "image_push")
`
	w.Write(t, "release/BUILD.bazel", load+`
[(
    genrule(name = "gen_" + name, outs = [name + ".txt"], cmd = "echo " + name + " >$@"),
    image_layer(name = "layer_" + name, srcs = {"/x": ":gen_" + name}),
    image_manifest(name = "image_" + name, layers = [":layer_" + name]),
    image_push(name = name, image = ":image_" + name, registry = "registry.example", repository = "acme/{CELL}/" + name, tag = "latest"),
) for name in ["app", "web"]]
`)
	w.Write(t, "bad/BUILD.bazel", load+`
genrule(name = "gen", outs = ["gen.txt"], cmd = "exit 1")
image_layer(name = "layer", srcs = {"/x": ":gen"})
image_manifest(name = "image", layers = [":layer"])
image_push(name = "push", image = ":image", registry = "registry.example", repository = "acme/{CELL}/bad", tag = "latest")
`)
	w.Write(t, "slow/BUILD.bazel", load+`
genrule(name = "gen", outs = ["gen.txt"], cmd = "sleep 600; echo slow >$@")
image_layer(name = "layer", srcs = {"/x": ":gen"})
image_manifest(name = "image", layers = [":layer"])
image_push(name = "push", image = ":image", registry = "registry.example", repository = "acme/{CELL}/slow", tag = "latest")
`)
	writeFailingTest(t, w)
	return w
}
