"""The repository of the toolchains. It is small, because every build fetches it."""

load(":tool_platform.bzl", "TOOL_PLATFORMS")

_HOST = """\
load("@platforms//host:constraints.bzl", "HOST_CONSTRAINTS")

package(default_visibility = ["//visibility:public"])

# The tool for the machine that Bazel runs on.
alias(
    name = "drayage",
    actual = "@drayage_host//:drayage",
)

toolchain(
    name = "host",
    exec_compatible_with = HOST_CONSTRAINTS,
    toolchain = "@drayage_host//:tool",
    toolchain_type = "@drayage//rules:toolchain_type",
)
"""

# There is no constraint on the target platform: the tool writes layers for every platform.
_TOOLCHAIN = """
toolchain(
    name = "{platform}",
    exec_compatible_with = {constraints},
    toolchain = "@drayage_{platform}//:tool",
    toolchain_type = "@drayage//rules:toolchain_type",
)
"""

def _toolchains_repository_impl(rctx):
    build = _HOST
    for platform in rctx.attr.platforms:
        build += _TOOLCHAIN.format(
            constraints = TOOL_PLATFORMS[platform],
            platform = platform,
        )
    rctx.file("BUILD.bazel", build)

toolchains_repository = repository_rule(
    implementation = _toolchains_repository_impl,
    doc = "Holds a toolchain for each platform that the tool can run on.",
    attrs = {"platforms": attr.string_list(doc = "The platforms other than the host.")},
)
