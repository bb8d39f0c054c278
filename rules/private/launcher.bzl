"""The executable of a push or load target, for `bazel run`."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")

# $0 is the launcher's path: bazel run gives an absolute one. In a runfiles tree of
# another program RUNFILES_DIR says where things are.
_RUN = """\
#!/bin/sh
set -eu
cd "${{RUNFILES_DIR:-$0.runfiles}}"
exec {tool} {command} {flags}"$@" {specs}
"""

# The tool runs on the machine that runs Bazel, not on an execution platform, so it is
# not the toolchain's.
LAUNCHER_ATTRS = {
    "_drayage": attr.label(
        allow_single_file = True,
        default = "@drayage_toolchains//:drayage",
    ),
    "_remote_cache": attr.label(default = "//rules/settings:remote_cache"),
}

def _quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"

def _outputs(ctx, blobs):
    """Lists the paths where the build puts layers, so that `bazel run` can use the layers that are there.

    The list makes Bazel build and fetch nothing.

    Args:
      ctx: the rule's context.
      blobs: depset of File, the layers.

    Returns:
      A file with paths below the execution root, its own first.
    """
    listed = ctx.actions.declare_file(ctx.label.name + ".outputs")
    paths = ctx.actions.args()
    paths.set_param_file_format("multiline")
    paths.add(listed)
    paths.add_all(blobs)
    ctx.actions.write(listed, paths)
    return listed

def launcher(ctx, strategy, specs, needed, blobs, command = "push", options = []):
    """Declares the executable of a push or load target, which runs the tool.

    Args:
      ctx: the context of a rule that has LAUNCHER_ATTRS.
      strategy: "lazy", "eager" or "cas_registry".
      specs: list of File, the push specs.
      needed: runfiles that the command needs.
      blobs: depset of File, the layers that the build has.
      command: what `drayage` does with the specs: "push" or "load".
      options: list of string, more of its flags.

    Returns:
      The executable and its runfiles.
    """
    executable = ctx.actions.declare_file(ctx.label.name + ".sh")

    def path(file):
        short = file.short_path
        return _quoted(short[3:] if short.startswith("../") else ctx.workspace_name + "/" + short)

    flags = "".join([_quoted(option) + " " for option in options])
    if strategy == "cas_registry":
        flags += "--cas-registry "
    if ctx.attr._remote_cache[BuildSettingInfo].value:
        flags += "--cas=" + _quoted(ctx.attr._remote_cache[BuildSettingInfo].value) + " "
    for file in needed.files.to_list():
        if file in specs:
            continue
        if file.basename in ["stable-status.txt", "volatile-status.txt"]:
            flags += "--status=" + path(file) + " "
        else:
            flags += "--blob=" + path(file) + " "
    if strategy == "lazy":
        listed = _outputs(ctx, blobs)
        flags += "--outputs=" + path(listed) + " "
        needed = needed.merge(ctx.runfiles([listed]))
    ctx.actions.write(
        executable,
        _RUN.format(
            command = command,
            flags = flags,
            specs = " ".join([path(spec) for spec in specs]),
            tool = path(ctx.file._drayage),
        ),
        is_executable = True,
    )
    return executable, ctx.runfiles([ctx.file._drayage]).merge(needed)
