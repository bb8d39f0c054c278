"""The repositories that hold the `drayage` tool, each for one platform."""

_BUILD = """\
load("@drayage//rules:toolchain.bzl", "drayage_toolchain")

package(default_visibility = ["//visibility:public"])

exports_files({files})

drayage_toolchain(
    name = "tool",
    drayage = ":{tool}",
)
"""

# The tool's sources, below the module's root.
_SOURCES = ["cmd/drayage", "internal", "pushspec"]

def _build_from_source(rctx, tool):
    go = rctx.which("go")
    if not go:
        fail("""drayage is built from source, but `go` is not on PATH. Install Go 1.26 or newer, use a release of drayage, or give a built file in MODULE.bazel:

    drayage = use_extension("@drayage//rules:extensions.bzl", "drayage")
    drayage.prebuilt(file = "//tools:drayage")
""")
    root = rctx.path(rctx.attr._module).dirname
    for source in _SOURCES:
        rctx.watch_tree(root.get_child(source))
    rctx.watch(root.get_child("go.sum"))

    # The tool runs wherever its actions do: without the host's C library, and
    # without a version that depends on the state of a git checkout.
    environment = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    if rctx.attr.platform:
        environment["GOOS"], environment["GOARCH"] = rctx.attr.platform.split("_")
    rctx.report_progress("Building drayage with go")
    result = rctx.execute(
        [go, "build", "-trimpath", "-ldflags=-s -w", "-o", rctx.path(tool), "./cmd/drayage"],
        environment = environment,
        working_directory = str(root),
        timeout = 1200,
    )
    if result.return_code != 0:
        fail("go could not build drayage in {}:\n{}{}".format(root, result.stdout, result.stderr))

def _is_windows(rctx):
    if rctx.attr.url:
        return rctx.attr.url.endswith(".exe")
    return (rctx.attr.platform or rctx.os.name.lower()).startswith("windows")

def _tool_repository_impl(rctx):
    tool = "drayage.exe" if _is_windows(rctx) else "drayage"
    if rctx.attr.prebuilt:
        rctx.symlink(rctx.attr.prebuilt, tool)
    elif rctx.attr.url:
        rctx.download(rctx.attr.url, tool, rctx.attr.sha256, executable = True)
    else:
        _build_from_source(rctx, tool)
    files = [tool]
    if tool != "drayage":
        # Push targets and `pull` use this name.
        rctx.symlink(tool, "drayage")
        files.append("drayage")
    rctx.file("BUILD.bazel", _BUILD.format(files = files, tool = tool))

tool_repository = repository_rule(
    implementation = _tool_repository_impl,
    doc = "Holds `drayage` for one platform, and its toolchain. Without attributes, it is built for the host.",
    attrs = {
        "platform": attr.string(doc = "The platform to build the tool for: a key of TOOL_PLATFORMS."),
        "prebuilt": attr.label(doc = "The tool, if it exists already."),
        "sha256": attr.string(doc = "SHA-256 of the download, in hexadecimal digits."),
        "url": attr.string(doc = "URL of the tool."),
        "_module": attr.label(default = Label("//:go.mod"), allow_single_file = True),
    },
    environ = ["PATH", "GOROOT", "GOCACHE", "GOMODCACHE", "GOPROXY", "HOME"],
)
