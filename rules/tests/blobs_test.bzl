"""Tests of the output group with the layers, and that nobody gets them unasked."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:image.bzl", "image_artifact", "image_import", "image_index", "image_manifest")
load("//rules:load.bzl", "image_load")
load("//rules:providers.bzl", "PushSpecInfo")
load("//rules:push.bzl", "multi_push")
load(":actions.bzl", "launcher_of", "names", "pushed")

def _group_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    asserts.equals(env, ctx.attr.has, names(target[OutputGroupInfo].blobs))
    for name in names(target[DefaultInfo].files) + names(target[DefaultInfo].default_runfiles.files):
        asserts.false(env, name in ctx.attr.has, "{} is brought along".format(name))
    return analysistest.end(env)

_group_test = analysistest.make(
    _group_impl,
    attrs = {"has": attr.string_list(doc = "Names of the files in the group.")},
)

# What bazel run looks for on this machine is listed, and neither built for that nor brought.
def _outputs_impl(ctx):
    env = analysistest.begin(ctx)
    listed = [a for a in analysistest.target_actions(env) if a.outputs.to_list()[0].basename.endswith(".outputs")]
    asserts.equals(env, ctx.attr.lists, [path.rpartition("/")[2] for path in listed[0].content.splitlines()] if listed else [])
    if listed:
        asserts.equals(env, [], listed[0].inputs.to_list())
        asserts.true(env, "/" + ctx.attr.lists[0] in launcher_of(env), launcher_of(env))
    return analysistest.end(env)

_outputs_test = analysistest.make(
    _outputs_impl,
    attrs = {"lists": attr.string_list(doc = "Names of the list itself and of the layers.")},
)

def _foreign_push_impl(ctx):
    return [DefaultInfo(), PushSpecInfo(runfiles = ctx.runfiles(), specs = depset())]

_foreign_push = rule(
    implementation = _foreign_push_impl,
    doc = "A push of somebody else's rule, which tells of no blobs.",
    provides = [PushSpecInfo],
)

def blobs_tests(name):
    """All tests of this file; they need the targets of layer_tests, image_tests and push_tests.

    Args:
      name: the suite's.
    """

    # The layer of an eager base is a source file, which nobody reads from the cache.
    image_import(
        name = "eager_base",
        blobs = ["blobs_test.bzl"],
        config = "base.config.json",
        layers = ["two.txt"],
        manifest = "base.manifest.json",
        tags = ["manual"],
    )
    image_manifest(
        name = "on_eager_base",
        base = ":eager_base",
        layers = [":plain"],
        tags = ["manual"],
    )
    image_index(
        name = "index_on_eager_base",
        manifests = [":on_eager_base"],
        tags = ["manual"],
    )
    image_artifact(
        name = "blobs_sbom",
        artifact_type = "application/spdx+json",
        files = {"one.txt": ""},
        tags = ["manual"],
    )
    pushed(
        name = "push_blobs",
        image = ":on_eager_base",
        referrers = [":blobs_sbom"],
    )
    pushed(
        name = "push_index_blobs",
        image = ":index_on_eager_base",
    )
    _foreign_push(
        name = "foreign_push",
        tags = ["manual"],
    )
    multi_push(
        name = "push_all_blobs",
        pushes = [":push_blobs", ":push_index_blobs", ":foreign_push"],
        tags = ["manual"],
    )
    image_load(
        name = "load_blobs",
        image = ":on_eager_base",
        tag = "app",
        tags = ["manual"],
    )
    tests = []
    for target, has in {
        "index_on_eager_base": ["plain.tar.gz"],
        "load_blobs": ["plain.tar.gz"],
        "on_eager_base": ["plain.tar.gz"],
        "push_all_blobs": ["blobs_sbom.0.blob", "plain.tar.gz"],
        "push_blobs": ["blobs_sbom.0.blob", "plain.tar.gz"],
        "push_index_blobs": ["plain.tar.gz"],
    }.items():
        _group_test(
            name = target + "_test",
            has = has,
            target_under_test = ":" + target,
        )
        tests.append(":" + target + "_test")
    for target, lists in {
        "load_blobs": ["load_blobs.outputs", "blobs_test.bzl", "plain.tar.gz"],
        "push_all_blobs": ["push_all_blobs.outputs", "blobs_test.bzl", "plain.tar.gz", "blobs_sbom.0.blob"],
        "push_blobs": ["push_blobs.outputs", "blobs_test.bzl", "plain.tar.gz", "blobs_sbom.0.blob"],
        "push_by_daemon": [],
        "push_eagerly": [],
    }.items():
        _outputs_test(
            name = target + "_outputs_test",
            lists = lists,
            target_under_test = ":" + target,
        )
        tests.append(":" + target + "_outputs_test")
    native.test_suite(
        name = name,
        tests = tests,
    )
