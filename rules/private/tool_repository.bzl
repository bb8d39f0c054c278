"""The repository that holds the `drayage` tool."""

_BUILD = """\
load("@drayage//rules:toolchain.bzl", "drayage_toolchain")
load("@platforms//host:constraints.bzl", "HOST_CONSTRAINTS")

package(default_visibility = ["//visibility:public"])

# What bazel run executes is this very file.
exports_files(["{tool}"])

drayage_toolchain(
    name = "tool",
    drayage = ":{tool}",
)

toolchain(
    name = "toolchain",
    exec_compatible_with = HOST_CONSTRAINTS,
    toolchain = ":tool",
    toolchain_type = "@drayage//rules:toolchain_type",
)
"""

# What the tool is built from, below the module's root.
_SOURCES = ["cmd/drayage", "internal", "pushspec"]

def _build_from_source(rctx, tool):
    go = rctx.which("go")
    if not go:
        fail("""drayage is built from source, and there is no `go` on PATH. Install Go 1.26 or newer, or give a built file in MODULE.bazel:

    drayage = use_extension("@drayage//rules:extensions.bzl", "drayage")
    drayage.prebuilt(file = "//tools:drayage")
""")
    root = rctx.path(rctx.attr._module).dirname
    for source in _SOURCES:
        rctx.watch_tree(root.get_child(source))
    rctx.watch(root.get_child("go.sum"))
    rctx.report_progress("Building drayage with go")
    result = rctx.execute(
        [go, "build", "-trimpath", "-ldflags=-s -w", "-o", rctx.path(tool), "./cmd/drayage"],
        # The tool runs wherever its actions do: without the host's C library, and
        # without a version that depends on the state of a git checkout.
        environment = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"},
        working_directory = str(root),
        timeout = 1200,
    )
    if result.return_code != 0:
        fail("go could not build drayage in {}:\n{}{}".format(root, result.stdout, result.stderr))

def _tool_repository_impl(rctx):
    tool = "drayage.exe" if "windows" in rctx.os.name.lower() else "drayage"
    if rctx.attr.prebuilt:
        rctx.symlink(rctx.attr.prebuilt, tool)
    else:
        _build_from_source(rctx, tool)
    rctx.file("BUILD.bazel", _BUILD.format(tool = tool))

tool_repository = repository_rule(
    implementation = _tool_repository_impl,
    doc = "Holds `drayage` for the host's platform, and a toolchain of it.",
    attrs = {
        "prebuilt": attr.label(doc = "The tool, if it need not be built."),
        "_module": attr.label(default = Label("//:go.mod"), allow_single_file = True),
    },
    environ = ["PATH", "GOROOT", "GOCACHE", "GOMODCACHE", "GOPROXY", "HOME"],
)
