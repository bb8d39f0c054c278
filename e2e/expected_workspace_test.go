package e2e_test

import (
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// failingWorkspace has pushes of every kind, and everything that keeps one from being
// built.
func failingWorkspace(t *testing.T) *rig.Workspace {
	t.Helper()
	w := rig.NewWorkspace(t)
	w.Replace(t, "MODULE.bazel", `bazel_dep(name = "rules_cc"`, "bazel_dep(name = \"platforms\", version = \"0.0.10\")\nbazel_dep(name = \"rules_cc\"")
	w.Write(t, "good/BUILD.bazel", `
load("@drayage//rules:image.bzl", "image_index", "image_manifest")
load("@drayage//rules:layer.bzl", "image_layer")
load("@drayage//rules:push.bzl", "image_push", "multi_push")

package(default_visibility = ["//visibility:public"])

genrule(name = "gen", outs = ["gen.txt"], cmd = "echo good >$@")
image_layer(name = "layer", srcs = {"/x": ":gen"})
image_manifest(name = "image", layers = [":layer"])
image_manifest(name = "with_specs", layers = [":layer"], push_specs = ["registry.example/acme/with-specs:latest"])
image_index(name = "index", manifests = [":image"])
image_push(name = "push", image = ":image", registry = "registry.example", repository = "acme/good", tag = "latest", also_to = ["registry.example/acme/also"])
image_push(name = "push_index", image = ":index", registry = "registry.example", repository = "acme/index", tag = "latest")
multi_push(name = "push_both", pushes = [":push", ":push_index"])
alias(name = "alias_of_push", actual = ":push")
image_push(name = "for_windows", image = ":image", registry = "registry.example", repository = "acme/windows", tag = "latest", target_compatible_with = ["@platforms//os:windows"])
`)
	w.Write(t, "bad/BUILD.bazel", `
load("@drayage//rules:image.bzl", "image_manifest")
load("@drayage//rules:layer.bzl", "image_layer")
load("@drayage//rules:push.bzl", "image_push", "multi_push")

genrule(name = "gen", outs = ["gen.txt"], cmd = "exit 1")
image_layer(name = "layer", srcs = {"/x": ":gen"})
image_manifest(name = "image", layers = [":layer"])
image_manifest(name = "with_specs", layers = [":layer"], push_specs = ["registry.example/acme/bad-specs:latest"], tags = ["drayage-push"])
image_push(name = "push", image = ":image", registry = "registry.example", repository = "acme/bad", tag = "latest", also_to = ["registry.example/acme/bad-also"])
multi_push(name = "push_both", pushes = [":push", "//good:push_index"])
alias(name = "alias_of_push", actual = ":push")
`)
	w.Write(t, "slow/BUILD.bazel", `
load("@drayage//rules:image.bzl", "image_manifest")
load("@drayage//rules:layer.bzl", "image_layer")
load("@drayage//rules:push.bzl", "image_push")

genrule(name = "gen", outs = ["gen.txt"], cmd = "sleep 600; echo slow >$@")
image_layer(name = "layer", srcs = {"/x": ":gen"})
image_manifest(name = "image", layers = [":layer"])
image_push(name = "push", image = ":image", registry = "registry.example", repository = "acme/slow", tag = "latest")
`)
	w.Write(t, "unloadable/BUILD.bazel", `
load("@drayage//rules:push.bzl", "image_push")
image_push(name = "push", image = "//good:image", registry = "registry.example", repository = "acme/unloadable", tag = "latest")
fail("this package cannot be loaded")
`)
	w.Write(t, "unanalysed/BUILD.bazel", `
load("@drayage//rules:push.bzl", "image_push")
image_push(name = "push", image = "//nowhere:image", registry = "registry.example", repository = "acme/unanalysed", tag = "latest")
`)
	writeFailingTest(t, w)
	return w
}

// writeFailingTest adds //tests:fails_test, which fails and needs no other ruleset.
func writeFailingTest(t *testing.T, w *rig.Workspace) {
	t.Helper()
	w.Write(t, "tests/failing.bzl", `
def _impl(ctx):
    program = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(program, "#!/bin/sh\nexit 1\n", is_executable = True)
    return [DefaultInfo(executable = program)]

failing_test = rule(implementation = _impl, test = True)
`)
	w.Write(t, "tests/BUILD.bazel", "load(\":failing.bzl\", \"failing_test\")\nfailing_test(name = \"fails_test\")\n")
}
