"""Tests of the rules that push: what their specs are made of, and what bazel run executes."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:providers.bzl", "PushSpecInfo")
load("//rules:push.bzl", "image_push", "multi_push")
load(":actions.bzl", "flags", "launcher_of", "layers_here", "names", "pushed", "read_by", "refused", "spec_actions")

_GATE = str(Label("//rules/settings:gate"))
_REGISTRY = str(Label("//rules/settings:registry"))
_REMOTE_CACHE = str(Label("//rules/settings:remote_cache"))
_STRATEGY = str(Label("//rules/settings:push_strategy"))

def _push_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    specs = ["push.2.pushspec.json", "push.pushspec.json"]
    asserts.equals(env, specs, names(target[DefaultInfo].files))
    asserts.equals(env, specs, names(target[OutputGroupInfo].push_spec))
    asserts.equals(env, specs, names(target[PushSpecInfo].specs))

    second, first = spec_actions(env)
    for action, registry, repository in [(first, "registry.example:5000", "acme/app"), (second, "other.example", "mirror/of/app")]:
        asserts.equals(env, [registry], flags(action, "--registry"))
        asserts.equals(env, [repository], flags(action, "--repository"))
        asserts.equals(env, ["latest", "git-{BUILD_SCM_REVISION}"], flags(action, "--tag"))
        asserts.equals(env, ["tags.txt"], flags(action, "--tag-file"))
        asserts.equals(env, [], flags(action, "--overwrite"), "older daemons do not know it")
        asserts.equals(env, [], flags(action, "--gate"), "older daemons do not know it")
        asserts.equals(env, [str(Label("//rules/tests:push"))], flags(action, "--target"))

        # Every layer is described, and none is read.
        asserts.equals(env, [
            "everything.layer.json",
            "image.config.json",
            "image.manifest.json",
            "plain.layer.json",
            "tags.txt",
            "two.txt",
        ], read_by(action))
    return analysistest.end(env)

push_test = analysistest.make(_push_impl)

def _push_once_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.equals(env, ["never"], flags(spec_actions(env)[0], "--overwrite"))
    return analysistest.end(env)

push_once_test = analysistest.make(_push_once_impl)

def _gate_impl(ctx):
    env = analysistest.begin(ctx)
    for action in spec_actions(env):
        asserts.equals(env, [ctx.attr.gate] if ctx.attr.gate else [], flags(action, "--gate"))
    asserts.equals(env, ctx.attr.gate or "pushed", analysistest.target_under_test(env)[PushSpecInfo].gate)
    return analysistest.end(env)

_GATE_ATTRS = {"gate": attr.string()}
gate_test = analysistest.make(_gate_impl, attrs = _GATE_ATTRS)
green_setting_test = analysistest.make(_gate_impl, attrs = _GATE_ATTRS, config_settings = {_GATE: "green"})

def _push_index_impl(ctx):
    env = analysistest.begin(ctx)
    action = spec_actions(env)[0]
    asserts.equals(env, ["index.index.json"], flags(action, "--index"))
    asserts.equals(env, 4, len(flags(action, "--manifest")))
    asserts.equals(env, 4, len(flags(action, "--config")))
    asserts.equals(env, [], [name for name in read_by(action) if ".tar" in name], "blobs among the inputs")
    return analysistest.end(env)

push_index_test = analysistest.make(_push_index_impl)

def _registry_setting_impl(ctx):
    env = analysistest.begin(ctx)
    for action in spec_actions(env):
        asserts.equals(env, ["staging.example"], flags(action, "--registry"))
    return analysistest.end(env)

registry_setting_test = analysistest.make(
    _registry_setting_impl,
    config_settings = {_REGISTRY: "staging.example"},
)

def _lazy_impl(ctx):
    env = analysistest.begin(ctx)
    launcher = launcher_of(env)
    for part in ["drayage", "push ", "/push.pushspec.json'", "/push.2.pushspec.json'", "--status="]:
        asserts.true(env, part in launcher, "no {} in\n{}".format(part, launcher))
    asserts.equals(env, [], layers_here(env), "layers on this machine")
    return analysistest.end(env)

lazy_test = analysistest.make(_lazy_impl)

def _quoting_impl(ctx):
    env = analysistest.begin(ctx)
    launcher = launcher_of(env)
    quoted = "'grpc://it'\\''s a $(cache)'"
    asserts.true(env, "--cas=" + quoted in launcher, "no {} in\n{}".format(quoted, launcher))
    return analysistest.end(env)

quoting_test = analysistest.make(
    _quoting_impl,
    config_settings = {_REMOTE_CACHE: "grpc://it's a $(cache)"},
)

def _eager_impl(ctx):
    env = analysistest.begin(ctx)
    layers = layers_here(env)
    asserts.equals(env, ["everything.tar.gz", "plain.tar.gz"], layers)
    launcher = launcher_of(env)
    for layer in layers:
        asserts.true(env, "/" + layer in launcher, "no {} in\n{}".format(layer, launcher))
    return analysistest.end(env)

eager_test = analysistest.make(_eager_impl)
eager_setting_test = analysistest.make(
    _eager_impl,
    config_settings = {_STRATEGY: "eager"},
)

def _bes_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.false(env, "exec " in launcher_of(env), "bazel run pushes:\n" + launcher_of(env))
    asserts.equals(env, [], layers_here(env), "layers on this machine")
    return analysistest.end(env)

bes_test = analysistest.make(_bes_impl)

def _bes_gate_impl(ctx):
    env = analysistest.begin(ctx)
    launcher = launcher_of(env)
    for gate, words in {
        "approved": "The gate is approved: tags wait until all that this build pushes is in its registry, and somebody runs 'drayage promote ",
        "green": "The gate is green: tags wait until all that this build pushes is in its registry.",
    }.items():
        asserts.equals(env, gate == ctx.attr.gate, words in launcher, launcher)
    return analysistest.end(env)

bes_gate_test = analysistest.make(_bes_gate_impl, attrs = _GATE_ATTRS)
bes_green_test = analysistest.make(_bes_gate_impl, attrs = _GATE_ATTRS, config_settings = {_GATE: "green"})

def _cas_registry_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.true(env, "--cas-registry " in launcher_of(env), launcher_of(env))
    asserts.equals(env, [], layers_here(env), "layers on this machine")
    return analysistest.end(env)

cas_registry_test = analysistest.make(
    _cas_registry_impl,
    config_settings = {_STRATEGY: "cas_registry"},
)

def _multi_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    specs = ["push.2.pushspec.json", "push.pushspec.json", "push_index.pushspec.json"]
    asserts.equals(env, specs, names(target[DefaultInfo].files))
    asserts.equals(env, specs, names(target[OutputGroupInfo].push_spec))
    asserts.equals(env, specs, names(target[PushSpecInfo].specs))
    asserts.equals(env, [], spec_actions(env), "specs are written once, by their own targets")
    for spec in specs:
        asserts.true(env, spec in launcher_of(env), "no {} in\n{}".format(spec, launcher_of(env)))
    return analysistest.end(env)

multi_test = analysistest.make(_multi_impl)

def _gates():
    pushed(
        name = "push_green",
        gate = "green",
        image = ":image",
        tag = "v1",
    )
    gate_test(
        name = "green_test",
        gate = "green",
        target_under_test = ":push_green",
    )
    green_setting_test(
        name = "green_setting_test",
        gate = "green",
        target_under_test = ":push",
    )
    pushed(
        name = "push_loosely",
        gate = "pushed",
        image = ":image",
    )
    gate_test(
        name = "pushed_test",
        target_under_test = ":push_loosely",
    )

    # The stricter of the two counts.
    green_setting_test(
        name = "green_setting_over_pushed_test",
        gate = "green",
        target_under_test = ":push_loosely",
    )
    pushed(
        name = "push_approved",
        gate = "approved",
        image = ":image",
        strategy = "bes",
    )
    green_setting_test(
        name = "approved_over_green_setting_test",
        gate = "approved",
        target_under_test = ":push_approved",
    )

    bes_gate_test(
        name = "bes_approved_test",
        gate = "approved",
        target_under_test = ":push_approved",
    )
    bes_green_test(
        name = "bes_green_test",
        gate = "green",
        target_under_test = ":push_by_daemon",
    )
    bes_gate_test(
        name = "bes_pushed_test",
        target_under_test = ":push_by_daemon",
    )
    multi_push(
        name = "push_gated",
        pushes = [":push", ":push_approved", ":push_green"],
        strategy = "bes",
        tags = ["manual"],
    )
    bes_gate_test(
        name = "bes_several_test",
        gate = "approved",
        target_under_test = ":push_gated",
    )
    gate_test(
        name = "gate_of_several_test",
        gate = "approved",
        target_under_test = ":push_gated",
    )

def push_tests(name):
    """All tests of this file; they need the targets of image_tests.

    Args:
      name: the suite's.
    """
    pushed(
        name = "push",
        also_to = ["other.example/mirror/of/app"],
        image = ":image",
        tag = "latest",
        tag_file = "tags.txt",
        tag_list = ["git-{BUILD_SCM_REVISION}", "latest"],
    )
    push_test(
        name = "push_test",
        target_under_test = ":push",
    )
    registry_setting_test(
        name = "registry_setting_test",
        target_under_test = ":push",
    )
    lazy_test(
        name = "lazy_test",
        target_under_test = ":push",
    )
    quoting_test(
        name = "quoting_test",
        target_under_test = ":push",
    )
    eager_setting_test(
        name = "eager_setting_test",
        target_under_test = ":push",
    )
    cas_registry_test(
        name = "cas_registry_test",
        target_under_test = ":push",
    )
    pushed(
        name = "push_once",
        image = ":image",
        overwrite = "never",
        tag = "v1",
    )
    push_once_test(
        name = "push_once_test",
        target_under_test = ":push_once",
    )
    pushed(
        name = "push_index",
        image = ":index",
    )
    push_index_test(
        name = "push_index_test",
        target_under_test = ":push_index",
    )
    pushed(
        name = "push_eagerly",
        image = ":image",
        strategy = "eager",
    )
    eager_test(
        name = "eager_test",
        target_under_test = ":push_eagerly",
    )
    pushed(
        name = "push_by_daemon",
        image = ":image",
        strategy = "bes",
    )
    bes_test(
        name = "bes_test",
        target_under_test = ":push_by_daemon",
    )
    multi_push(
        name = "push_all",
        pushes = [":push", ":push_index"],
        tags = ["manual"],
    )
    multi_test(
        name = "multi_test",
        target_under_test = ":push_all",
    )
    refused(
        image_push,
        name = "push_nowhere",
        says = "//rules/tests:push_nowhere: \"registry.example\" in also_to must be HOST/REPOSITORY",
        also_to = ["registry.example"],
        image = ":image",
        registry = "registry.example",
        repository = "acme/app",
    )
    _gates()
    native.test_suite(
        name = name,
        tests = [
            ":approved_over_green_setting_test",
            ":bes_approved_test",
            ":bes_green_test",
            ":bes_pushed_test",
            ":bes_several_test",
            ":bes_test",
            ":cas_registry_test",
            ":eager_setting_test",
            ":eager_test",
            ":gate_of_several_test",
            ":green_setting_over_pushed_test",
            ":green_setting_test",
            ":green_test",
            ":lazy_test",
            ":multi_test",
            ":push_index_test",
            ":push_nowhere_test",
            ":push_once_test",
            ":push_test",
            ":pushed_test",
            ":quoting_test",
            ":registry_setting_test",
        ],
    )
