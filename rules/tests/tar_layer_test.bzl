"""Tests of layer_from_tar: what becomes of an archive that no layer may be like."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:layer.bzl", "layer_from_tar")
load(":actions.bzl", "action_of", "flags")

def _otherwise_impl(ctx):
    env = analysistest.begin(ctx)
    action = action_of(env, "ImageLayer")
    asserts.equals(env, ctx.attr.otherwise, flags(action, "--otherwise"))
    asserts.equals(env, ctx.attr.estargz, "--otherwise-estargz" in action.argv)
    return analysistest.end(env)

_ATTRS = {
    "estargz": attr.bool(),
    "otherwise": attr.string_list(),
}

otherwise_test = analysistest.make(_otherwise_impl, attrs = _ATTRS)

zstd_test = analysistest.make(
    _otherwise_impl,
    attrs = _ATTRS,
    config_settings = {
        str(Label("//rules/settings:compress")): "zstd",
        str(Label("//rules/settings:estargz")): "enabled",
    },
)

estargz_test = analysistest.make(
    _otherwise_impl,
    attrs = _ATTRS,
    config_settings = {str(Label("//rules/settings:estargz")): "enabled"},
)

def tar_layer_tests(name):
    """All tests of this file; they need the targets of layer_tests.

    Args:
      name: the suite's.
    """
    layer_from_tar(
        name = "as_it_is",
        src = ":one",
        tags = ["manual"],
    )
    layer_from_tar(
        name = "not_seekable",
        src = ":one",
        estargz = "disabled",
        tags = ["manual"],
    )
    layer_from_tar(
        name = "written_anew",
        src = ":one",
        compress = "none",
        tags = ["manual"],
    )
    tests = {
        "not_seekable": (estargz_test, "not_seekable", ["gzip"], False),
        "setting": (zstd_test, "as_it_is", ["zstd"], False),
        "setting_of_none": (otherwise_test, "as_it_is", ["gzip"], False),
        "setting_of_seekable": (estargz_test, "as_it_is", ["gzip"], True),
        "written_anew": (estargz_test, "written_anew", [], False),
    }
    for of, (test, target, otherwise, estargz) in tests.items():
        test(
            name = "otherwise_{}_test".format(of),
            estargz = estargz,
            otherwise = otherwise,
            target_under_test = ":" + target,
        )
    native.test_suite(
        name = name,
        tests = [":otherwise_{}_test".format(of) for of in tests],
    )
