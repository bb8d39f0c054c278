"""Tests of image_load: names, and what comes to this machine."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:load.bzl", "image_load")
load("//rules:providers.bzl", "PushSpecInfo")
load(":actions.bzl", "flags", "launcher_of", "layers_here", "names", "read_by", "refused", "spec_actions")

_STRATEGY = str(Label("//rules/settings:push_strategy"))

def _names_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    places = [
        (flags(action, "--registry")[0], flags(action, "--repository")[0], flags(action, "--tag"))
        for action in spec_actions(env)
    ]
    asserts.equals(env, sorted([
        ("docker.io", "library/app", ["dev", "git-{BUILD_SCM_REVISION}"]),
        ("docker.io", "acme/app", ["latest"]),
        ("docker.io", "{TEAM:-core}/app-{ARCH:-amd64}", ["{BRANCH|slug:-main}"]),
        ("ghcr.io", "acme/app", ["v1.2"]),
        ("localhost", "app", ["latest"]),
        ("registry:5000", "acme/app", ["v1"]),
    ]), sorted(places))
    asserts.equals(env, 6, len(names(target[DefaultInfo].files)))

    # What the daemon sees in the build's events is no push.
    asserts.false(env, PushSpecInfo in target, "a load is a push")
    asserts.false(env, OutputGroupInfo in target and hasattr(target[OutputGroupInfo], "push_spec"), "a load is a push")
    for name in names(target[DefaultInfo].files):
        asserts.true(env, name.endswith(".loadspec.json"), name)
    return analysistest.end(env)

names_test = analysistest.make(_names_impl)

def _lazy_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.true(env, " load " in launcher_of(env), launcher_of(env))
    asserts.equals(env, [], layers_here(env), "layers on this machine")
    for action in spec_actions(env):
        asserts.equals(env, [], [name for name in read_by(action) if ".tar" in name], "blobs among the inputs")
    return analysistest.end(env)

lazy_load_test = analysistest.make(_lazy_impl)

# The strategies that are about registries say nothing of loads.
bes_load_test = analysistest.make(
    _lazy_impl,
    config_settings = {_STRATEGY: "bes"},
)

def _eager_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.equals(env, ["everything.tar.gz", "plain.tar.gz"], layers_here(env))
    for layer in layers_here(env):
        asserts.true(env, "/" + layer in launcher_of(env), "no {} in\n{}".format(layer, launcher_of(env)))
    return analysistest.end(env)

eager_load_test = analysistest.make(
    _eager_impl,
    config_settings = {_STRATEGY: "eager"},
)

def load_tests(name):
    """All tests of this file; they need the targets of image_tests.

    Args:
      name: the suite's.
    """
    image_load(
        name = "load",
        image = ":image",
        tag = "app:dev",
        tag_list = [
            "acme/app",
            "app:git-{BUILD_SCM_REVISION}",
            "ghcr.io/acme/app:v1.2",
            "localhost/app",
            "registry:5000/acme/app:v1",
            "{TEAM:-core}/app-{ARCH:-amd64}:{BRANCH|slug:-main}",
        ],
        tags = ["manual"],
    )
    names_test(
        name = "names_test",
        target_under_test = ":load",
    )
    lazy_load_test(
        name = "lazy_load_test",
        target_under_test = ":load",
    )
    bes_load_test(
        name = "bes_load_test",
        target_under_test = ":load",
    )
    eager_load_test(
        name = "eager_load_test",
        target_under_test = ":load",
    )
    refused(
        image_load,
        name = "load_nameless",
        says = "//rules/tests:load_nameless: the image must have a name: set tag",
        image = ":image",
    )
    refused(
        image_load,
        name = "load_digest",
        says = "\"app@sha256:0000\" must be the name of an image",
        image = ":image",
        tag = "app@sha256:0000",
    )
    native.test_suite(
        name = name,
        tests = [
            ":bes_load_test",
            ":eager_load_test",
            ":lazy_load_test",
            ":load_digest_test",
            ":load_nameless_test",
            ":names_test",
        ],
    )
