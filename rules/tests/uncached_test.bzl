"""Tests of what a push spec says of the targets that make its layers."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:image.bzl", "image_artifact", "image_index", "image_manifest")
load("//rules:layer.bzl", "image_layer")
load(":actions.bzl", "flags", "pushed", "spec_actions")

def _label(name):
    return str(Label("//rules/tests:" + name))

def _made_by_impl(ctx):
    env = analysistest.begin(ctx)
    action = spec_actions(env)[0]
    asserts.equals(env, [_label(name) for name in ctx.attr.made_by], flags(action, "--made-by"))
    asserts.equals(env, len(ctx.attr.made_by), len(flags(action, "--layer")))
    uncached = ["{}={}".format(tag, _label(name)) for name, tag in ctx.attr.uncached.items()]
    asserts.equals(env, sorted(uncached), sorted(flags(action, "--uncached")))
    return analysistest.end(env)

_made_by_test = analysistest.make(
    _made_by_impl,
    attrs = {
        "made_by": attr.string_list(doc = "Names of the targets that make the layers."),
        "uncached": attr.string_dict(doc = "Names of those whose tags keep them out of caches, and the tags."),
    },
)

def uncached_tests(name):
    """All tests of this file; they need the targets of layer_tests and image_tests.

    Args:
      name: the suite's.
    """
    for layer, tag in {"kept": "no-sandbox", "local_layer": "local", "remote_only": "no-remote-cache"}.items():
        image_layer(
            name = layer,
            srcs = {"/one": "one.txt"},
            tags = ["manual", tag],
        )
    image_manifest(
        name = "uncached_base",
        layers = [":remote_only"],
        tags = ["manual"],
    )
    image_manifest(
        name = "uncached_image",
        base = ":uncached_base",
        layers = [":kept", ":local_layer"],
        tags = ["manual"],
    )
    image_index(
        name = "uncached_index",
        manifests = [":uncached_image"],
        tags = ["manual"],
    )
    image_artifact(
        name = "uncached_sbom",
        artifact_type = "application/spdx+json",
        files = {"one.txt": ""},
        tags = ["manual", "no-cache"],
    )
    pushed(
        name = "push_uncached",
        image = ":uncached_image",
        referrers = [":uncached_sbom"],
    )
    pushed(
        name = "push_uncached_index",
        image = ":uncached_index",
    )
    _made_by_test(
        name = "push_uncached_test",
        made_by = ["remote_only", "kept", "local_layer", "uncached_sbom"],
        target_under_test = ":push_uncached",
        uncached = {
            "local_layer": "local",
            "remote_only": "no-remote-cache",
            "uncached_sbom": "no-cache",
        },
    )
    _made_by_test(
        name = "push_uncached_index_test",
        made_by = ["remote_only", "kept", "local_layer"],
        target_under_test = ":push_uncached_index",
        uncached = {
            "local_layer": "local",
            "remote_only": "no-remote-cache",
        },
    )
    native.test_suite(
        name = name,
        tests = [
            ":push_uncached_index_test",
            ":push_uncached_test",
        ],
    )
