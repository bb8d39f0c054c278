"""Tests of the names of platforms."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts", "unittest")
load("//rules:image.bzl", "image_manifest")
load("//rules/private:platform.bzl", "ARCHITECTURES", "constraints_by_rank", "constraints_of")
load("//rules/private:tool_platform.bzl", "TOOL_PLATFORMS", "platform_of")
load(":actions.bzl", "action_of", "flags")

def _constraints_impl(ctx):
    env = unittest.begin(ctx)
    for oci, constraints in {
        ("linux", "386", ""): ["@platforms//cpu:x86_32"],
        ("linux", "amd64", ""): ["@platforms//cpu:x86_64"],
        ("linux", "arm", "v7"): ["@platforms//cpu:armv7"],
        ("linux", "arm64", ""): ["@platforms//cpu:aarch64"],
        # What registries say of all arm64 images, with and without the variant.
        ("linux", "arm64", "v8"): ["@platforms//cpu:aarch64"],
        ("linux", "riscv64", ""): ["@platforms//cpu:riscv64"],
        ("windows", "amd64", ""): ["@platforms//cpu:x86_64", "@platforms//os:windows"],
    }.items():
        asserts.equals(env, constraints, constraints_of(*oci), "constraints of {}".format(oci))
    return unittest.end(env)

constraints_test = unittest.make(_constraints_impl)

def _no_constraints_impl(ctx):
    env = unittest.begin(ctx)
    for oci in [
        ("linux", "arm", "v5"),
        ("linux", "arm", "v6"),
        ("linux", "arm", ""),
        # A plain amd64 machine need not be able to run it.
        ("linux", "amd64", "v3"),
        ("linux", "mips64le", ""),
        ("unknown", "unknown", ""),
    ]:
        asserts.equals(env, None, constraints_of(*oci), "constraints of {}".format(oci))
    return unittest.end(env)

no_constraints_test = unittest.make(_no_constraints_impl)

def _ranks_impl(ctx):
    env = unittest.begin(ctx)
    armv7 = ["@platforms//cpu:armv7"]
    ranks = []
    for variant in ["v7", "", "v6", "v5"]:
        constraints, rank = constraints_by_rank("linux", "arm", variant)
        asserts.equals(env, armv7, constraints, "constraints of arm/" + variant)
        ranks.append(rank)
    asserts.equals(env, sorted(ranks), ranks, "the newest is taken first")
    asserts.equals(env, (["@platforms//cpu:x86_64"], 0), constraints_by_rank("linux", "amd64", ""))
    asserts.equals(env, (["@platforms//cpu:x86_64"], 10), constraints_by_rank("freebsd", "amd64", ""))
    for other in [("linux", "arm", "v8"), ("linux", "amd64", "v3"), ("linux", "mips64le", "")]:
        asserts.equals(env, (None, None), constraints_by_rank(*other), "{}".format(other))
    return unittest.end(env)

ranks_test = unittest.make(_ranks_impl)

def _there_and_back_impl(ctx):
    env = unittest.begin(ctx)
    for cpu, name in ARCHITECTURES.items():
        architecture, _, variant = name.partition("/")
        asserts.equals(env, ["@platforms//cpu:" + cpu], constraints_of("linux", architecture, variant))
    return unittest.end(env)

there_and_back_test = unittest.make(_there_and_back_impl)

def _host_impl(ctx):
    env = unittest.begin(ctx)
    for host, platform in {
        # What Java calls them.
        ("linux", "aarch64"): "linux_arm64",
        ("linux", "amd64"): "linux_amd64",
        ("mac os x", "aarch64"): "darwin_arm64",
        ("mac os x", "x86_64"): "darwin_amd64",
        ("windows server 2022", "amd64"): "windows_amd64",
    }.items():
        asserts.equals(env, platform, platform_of(*host), "platform of {}".format(host))
        asserts.true(env, platform in TOOL_PLATFORMS, platform)
    asserts.equals(env, "linux_riscv64", platform_of("Linux", "riscv64"))
    return unittest.end(env)

host_test = unittest.make(_host_impl)

def _named_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.equals(env, [ctx.attr.oci], flags(action_of(env, "ImageManifest"), "--platform"))
    return analysistest.end(env)

def _named_test(platform):
    return analysistest.make(
        _named_impl,
        attrs = {"oci": attr.string()},
        config_settings = {"//command_line_option:platforms": str(Label("//rules/tests:" + platform))},
    )

arm64_test = _named_test("linux_aarch64")
armv7_test = _named_test("linux_armv7")
windows_test = _named_test("windows_x86_64")

# An image that is built on a Mac, for no platform in particular, is for linux.
macos_test = _named_test("macos_aarch64")

def _unknown_cpu_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.expect_failure(env, "must have one of these CPUs: aarch64, ")
    return analysistest.end(env)

unknown_cpu_test = analysistest.make(
    _unknown_cpu_impl,
    config_settings = {"//command_line_option:platforms": str(Label("//rules/tests:linux_mips64"))},
    expect_failure = True,
)

_SETTING = str(Label("//rules/settings:base_platform"))

def _onto_impl(ctx):
    env = analysistest.begin(ctx)
    action = action_of(env, "ImageManifest")
    asserts.equals(env, [ctx.attr.oci] if ctx.attr.oci else [], flags(action, "--target-platform"))
    asserts.equals(env, [ctx.attr.mismatch] if ctx.attr.mismatch else [], flags(action, "--mismatch"))
    if ctx.attr.oci:
        # Whatever the name of this module is to the one that is built.
        asserts.true(env, flags(action, "--target")[0].endswith("//rules/tests:based_image"))
        asserts.true(env, flags(action, "--base")[0].endswith("//rules/tests:base"))
    return analysistest.end(env)

def _onto_test(platform, **settings):
    return analysistest.make(
        _onto_impl,
        attrs = {"mismatch": attr.string(), "oci": attr.string()},
        config_settings = {"//command_line_option:platforms": str(Label("//rules/tests:" + platform))} | settings,
    )

onto_arm64_test = _onto_test("linux_aarch64")
onto_windows_warns_test = _onto_test("windows_x86_64", **{_SETTING: "warn"})
onto_any_test = _onto_test("linux_aarch64", **{_SETTING: "ignore"})

# Nothing is known of it that could be compared.
onto_unknown_cpu_test = _onto_test("linux_mips64")

def platform_tests(name):
    """All tests of this file.

    Args:
      name: the suite's.
    """
    unittest.suite(
        name,
        constraints_test,
        no_constraints_test,
        ranks_test,
        there_and_back_test,
        host_test,
    )
    for platform, (os, cpu) in {
        "linux_aarch64": ("linux", "aarch64"),
        "linux_armv7": ("linux", "armv7"),
        "linux_mips64": ("linux", "mips64"),
        "macos_aarch64": ("macos", "aarch64"),
        "windows_x86_64": ("windows", "x86_64"),
    }.items():
        native.platform(
            name = platform,
            constraint_values = ["@platforms//os:" + os, "@platforms//cpu:" + cpu],
        )
    image_manifest(
        name = "empty_image",
        tags = ["manual"],
    )
    arm64_test(
        name = "arm64_test",
        oci = "linux/arm64",
        target_under_test = ":empty_image",
    )
    armv7_test(
        name = "armv7_test",
        oci = "linux/arm/v7",
        target_under_test = ":empty_image",
    )
    windows_test(
        name = "windows_test",
        oci = "windows/amd64",
        target_under_test = ":empty_image",
    )
    macos_test(
        name = "macos_test",
        oci = "linux/arm64",
        target_under_test = ":empty_image",
    )
    unknown_cpu_test(
        name = "unknown_cpu_test",
        target_under_test = ":empty_image",
    )
    image_manifest(
        name = "based_image",
        base = ":base",
        tags = ["manual"],
    )
    onto_arm64_test(
        name = "onto_arm64_test",
        mismatch = "error",
        oci = "linux/arm64",
        target_under_test = ":based_image",
    )
    onto_windows_warns_test(
        name = "onto_windows_warns_test",
        mismatch = "warn",
        oci = "windows/amd64",
        target_under_test = ":based_image",
    )
    onto_any_test(
        name = "onto_any_test",
        target_under_test = ":based_image",
    )
    onto_unknown_cpu_test(
        name = "onto_unknown_cpu_test",
        target_under_test = ":based_image",
    )
