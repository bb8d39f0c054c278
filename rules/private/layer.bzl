"""image_layer: one action that writes a layer's blob and its metadata."""

load(":layer_action.bzl", "LAYER_ATTRS", "layer_providers", "write_layer")
load(":providers.bzl", "LayerInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

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

def _add_runfiles(list, path, runfiles, attributes):
    """Adds the runfiles of the executable at path, in the folder where it looks for them."""
    under = "\t0755\t{}.runfiles/%s{}".format(path, attributes)
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

def _add_target(list, path, target, mode, attributes, include_runfiles):
    """Adds what one target has to the list of a layer.

    Args:
      list: the Args that make up the list.
      path: where it goes in the image.
      target: what goes there.
      mode: octal permission bits, or "" for the usual ones.
      attributes: the further fields of a line, each after a tab.
      include_runfiles: whether a binary's runfiles go with it.

    Returns:
      A depset of the files that the action reads.
    """
    info = target[DefaultInfo]
    if _is_binary(info):
        executable = info.files_to_run.executable
        list.add_joined(["file", mode or "0755", path, executable], join_with = "\t", format_joined = "%s" + attributes)
        inputs = [depset([executable])]
        if include_runfiles and info.default_runfiles:
            inputs.append(_add_runfiles(list, path, info.default_runfiles, attributes))

            # Programs look other repositories' runfiles up in it.
            mapping = getattr(info.files_to_run, "repo_mapping_manifest", None)
            if mapping:
                list.add_joined(["file", "0644", path + ".runfiles/_repo_mapping", mapping], join_with = "\t", format_joined = "%s" + attributes)
                inputs.append(depset([mapping]))
        return depset(transitive = inputs)

    mode = mode or "0644"
    files = info.files.to_list()
    if len(files) == 1 and not path.endswith("/"):
        list.add_joined(["file", mode, path, files[0]], join_with = "\t", expand_directories = False, format_joined = "%s" + attributes)
    else:
        list.add_all(
            info.files,
            map_each = _in_dir,
            format_each = "file\t{}\t{}/%s{}".format(mode, path.rstrip("/"), attributes),
            expand_directories = False,
        )
    return info.files

def _plain(ctx, text, what):
    if "\t" in text or "\n" in text:
        fail("{}: {} {} holds a tab or a line break".format(ctx.label, what, repr(text)))
    return text.replace("%", "%%")

def _attributes(ctx, path):
    """The further fields of the lines for a path: owner, time and extended attributes."""
    fields = ""
    owner = ctx.attr.owners.get(path, ctx.attr.owner)
    if owner:
        uid, _, gid = owner.partition(":")
        fields += "\tuid={}\tgid={}".format(uid, gid or uid)
    mtime = ctx.attr.mtimes.get(path, ctx.attr.mtime)
    if mtime:
        fields += "\tmtime=" + mtime
    for xattr in ctx.attr.xattrs.get(path, []):
        fields += "\txattr:" + _plain(ctx, xattr, "the extended attribute")
    return fields

def _image_layer_impl(ctx):
    known = {path: None for path in ctx.attr.srcs.keys() + ctx.attr.symlinks.keys() + ctx.attr.directories.keys()}
    for name in ["modes", "mtimes", "owners", "xattrs"]:
        for path in getattr(ctx.attr, name):
            if path not in known:
                fail("{}: {} names {}, which is not in srcs, symlinks or directories".format(ctx.label, name, repr(path)))

    list = ctx.actions.args()
    list.set_param_file_format("multiline")
    inputs = []
    for path, target in ctx.attr.srcs.items():
        _plain(ctx, path, "the path")
        inputs.append(_add_target(list, path, target, ctx.attr.modes.get(path, ""), _attributes(ctx, path), ctx.attr.include_runfiles))
    for path, to in ctx.attr.symlinks.items():
        list.add_joined(["link", path, to], join_with = "\t", format_joined = "%s" + _attributes(ctx, path))
    for path, mode in ctx.attr.directories.items():
        list.add_joined(["dir", mode or "0755", path], join_with = "\t", format_joined = "%s" + _attributes(ctx, path))
    listed = ctx.actions.declare_file(ctx.label.name + ".list")
    ctx.actions.write(listed, list)

    args = ctx.actions.args()
    args.add("layer")
    args.add("--list", listed)
    if not ctx.attr.hard_links:
        args.add("--copies")
    return layer_providers(*write_layer(ctx, args, depset([listed], transitive = inputs)))

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
        "directories": attr.string_dict(doc = "Directories that have to be there without anything in them, or with another mode than `0755`: absolute paths, and modes in octal."),
        "hard_links": attr.bool(
            default = True,
            doc = "Whether files that are alike, with the same mode, owner and time, are hard links to the first of them.",
        ),
        "include_runfiles": attr.bool(
            default = True,
            doc = "Whether the runfiles of binaries go with them.",
        ),
        "modes": attr.string_dict(
            doc = """Permission bits, in octal, by path of `srcs`. By default executables of binaries and their runfiles have `0755`, all else `0644`. The file
system is not asked: Bazel makes each output executable.""",
        ),
        "mtime": attr.string(doc = "Time of everything in the layer that `mtimes` does not name: seconds since 1970, or `2006-01-02T15:04:05Z`. By default the epoch."),
        "mtimes": attr.string_dict(doc = "Times by path of `srcs`, `symlinks` or `directories`."),
        "owner": attr.string(doc = "Owner of everything in the layer that `owners` does not name, in numbers: `uid:gid`, or `uid` for both. By default root. Parent directories that are not in `directories` are root's."),
        "owners": attr.string_dict(doc = "Owners by path of `srcs`, `symlinks` or `directories`."),
        "srcs": attr.string_keyed_label_dict(
            doc = """What is in the layer: absolute paths in the image, and the targets that go there. A target with one file is that file; a directory
(tree artifact) is that directory; several files go into a directory of that name, and so does a single file whose path ends with `/`. A binary is its executable, with its runfiles in `PATH.runfiles`.""",
            allow_files = True,
        ),
        "symlinks": attr.string_dict(doc = "Symbolic links: absolute paths in the image, and what they point to."),
        "xattrs": attr.string_list_dict(
            doc = """Extended attributes by path, each `NAME=VALUE`. A value is text, `0x` and hexadecimal digits, or `0s` and base64, as setfattr(1) has it:
`{"/bin/ping": ["security.capability=0x0100000200200000000000000000000000000000"]}`.""",
        ),
    } | LAYER_ATTRS,
    provides = [LayerInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
