"""image_layer: one action that writes a layer's blob and its metadata."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":providers.bzl", "LayerInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE", "tool")

_EXTENSIONS = {
    "gzip": ".tar.gz",
    "none": ".tar",
    "zstd": ".tar.zst",
}

def _in_dir(file):
    return "{}\t{}".format(file.basename, file.path)

def _runfiles_path(short_path):
    # In a target's runfiles another repository stands beside the main one.
    return short_path[3:] if short_path.startswith("../") else "_main/" + short_path

def _runfile(file):
    return "{}\t{}".format(_runfiles_path(file.short_path), file.path)

def _runfile_symlink(entry):
    return "_main/{}\t{}".format(entry.path, entry.target_file.path)

def _root_symlink(entry):
    return "{}\t{}".format(entry.path, entry.target_file.path)

def _empty_runfile(path):
    return _runfiles_path(path)

def _add_runfiles(list, path, runfiles):
    """Adds the runfiles of the executable at path, in the folder where it looks for them."""
    under = "\t0755\t{}.runfiles/%s".format(path)
    list.add_all(runfiles.files, map_each = _runfile, format_each = "file" + under, expand_directories = False)
    list.add_all(runfiles.symlinks, map_each = _runfile_symlink, format_each = "file" + under)
    list.add_all(runfiles.root_symlinks, map_each = _root_symlink, format_each = "file" + under)
    list.add_all(runfiles.empty_filenames, map_each = _empty_runfile, format_each = "empty" + under)
    return depset(
        [s.target_file for s in runfiles.symlinks.to_list() + runfiles.root_symlinks.to_list()],
        transitive = [runfiles.files],
    )

def _is_binary(info):
    # Every file has files_to_run; a binary is its own rule's executable output.
    return info.files_to_run != None and info.files_to_run.executable != None and not info.files_to_run.executable.is_source

def _add_target(list, path, target, mode, include_runfiles):
    """Adds what one target has to the list of a layer.

    Args:
      list: the Args that make up the list.
      path: where it goes in the image.
      target: what goes there.
      mode: octal permission bits, or "" for the usual ones.
      include_runfiles: whether a binary's runfiles go with it.

    Returns:
      A depset of the files that the action reads.
    """
    info = target[DefaultInfo]
    if _is_binary(info):
        executable = info.files_to_run.executable
        list.add_joined(["file", mode or "0755", path, executable], join_with = "\t")
        inputs = [depset([executable])]
        if include_runfiles and info.default_runfiles:
            inputs.append(_add_runfiles(list, path, info.default_runfiles))
        return depset(transitive = inputs)

    mode = mode or "0644"
    files = info.files.to_list()
    if len(files) == 1 and not path.endswith("/"):
        list.add_joined(["file", mode, path, files[0]], join_with = "\t", expand_directories = False)
    else:
        list.add_all(
            info.files,
            map_each = _in_dir,
            format_each = "file\t{}\t{}/%s".format(mode, path.rstrip("/")),
            expand_directories = False,
        )
    return info.files

def _image_layer_impl(ctx):
    compress = ctx.attr.compress or ctx.attr._compress[BuildSettingInfo].value
    for path in ctx.attr.modes:
        if path not in ctx.attr.srcs:
            fail("{}: modes names {}, which srcs does not have".format(ctx.label, repr(path)))

    list = ctx.actions.args()
    list.set_param_file_format("multiline")
    inputs = []
    for path, target in ctx.attr.srcs.items():
        if "\t" in path or "\n" in path:
            fail("{}: the path {} in srcs holds a tab or a line break".format(ctx.label, repr(path)))
        inputs.append(_add_target(list, path, target, ctx.attr.modes.get(path, ""), ctx.attr.include_runfiles))
    for path, to in ctx.attr.symlinks.items():
        list.add_joined(["link", path, to], join_with = "\t")
    listed = ctx.actions.declare_file(ctx.label.name + ".list")
    ctx.actions.write(listed, list)

    blob = ctx.actions.declare_file(ctx.label.name + _EXTENSIONS[compress])
    metadata = ctx.actions.declare_file(ctx.label.name + ".layer.json")
    args = ctx.actions.args()
    args.add("layer")
    args.add("--list", listed)
    args.add("--out", blob)
    args.add("--metadata", metadata)
    args.add("--compress", compress)
    args.add("--digest-function", ctx.attr._digest_function[BuildSettingInfo].value)
    ctx.actions.run(
        executable = tool(ctx),
        arguments = [args],
        inputs = depset([listed], transitive = inputs),
        outputs = [blob, metadata],
        mnemonic = "ImageLayer",
        progress_message = "Writing image layer %{label}",
        toolchain = TOOLCHAIN_TYPE,
    )
    return [
        # The metadata, and not the blob: who asks for a layer by itself under
        # --remote_download_toplevel wants to know of it, and not to carry it.
        DefaultInfo(files = depset([metadata])),
        OutputGroupInfo(blob = depset([blob])),
        LayerInfo(blob = blob, metadata = metadata),
    ]

image_layer = rule(
    implementation = _image_layer_impl,
    doc = """A layer of an image, from files.

One action writes the blob and a small file of metadata. Everything that is built upon the layer has the metadata only among its inputs; the blob stays where
Bazel puts it, in the remote cache. The same sources give the same blob to the byte, wherever they are built: times are the epoch, owners are root, modes are as said here.

```starlark
image_layer(
    name = "app_layer",
    srcs = {
        "/app/bin/server": "//cmd/server",
        "/app/config": "//configs:prod",
    },
)
```

The default output is the metadata; the output group `blob` has the blob.""",
    attrs = {
        "srcs": attr.string_keyed_label_dict(
            doc = """What is in the layer: absolute paths in the image, and the targets that go there. A target with one file is that file; a directory
(tree artifact) is that directory; several files go into a directory of that name, and so does a single file whose path ends with `/`. A binary is its executable, with its runfiles in `PATH.runfiles`.""",
            allow_files = True,
        ),
        "symlinks": attr.string_dict(doc = "Symbolic links: absolute paths in the image, and what they point to."),
        "modes": attr.string_dict(
            doc = """Permission bits, in octal, by path of `srcs`. By default executables of binaries and their runfiles have `0755`, all else `0644`. The file
system is not asked: Bazel makes each output executable.""",
        ),
        "include_runfiles": attr.bool(
            default = True,
            doc = "Whether the runfiles of binaries go with them.",
        ),
        "compress": attr.string(
            doc = "`gzip`, `zstd` or `none`. By default what `@drayage//rules/settings:compress` says, which is `gzip`.",
            values = ["", "gzip", "none", "zstd"],
        ),
        "_compress": attr.label(default = "//rules/settings:compress"),
        "_digest_function": attr.label(default = "//rules/settings:digest_function"),
    },
    provides = [LayerInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
