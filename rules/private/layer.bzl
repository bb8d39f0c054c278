"""image_layer: one action that writes a layer's blob and its metadata."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":layer_action.bzl", "LAYER_ATTRS", "layer_providers", "write_layer")
load(":providers.bzl", "LayerInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _kind(file):
    """What the tool is to take a file for: see `drayage layer --help`."""
    if file.is_directory:
        return "tree"
    if file.is_source:
        return "file"

    # Bazel 8 tells a symbolic link that a rule declared from a file. Before, the tool has to.
    if hasattr(file, "is_symlink"):
        return "symlink" if file.is_symlink else "file"
    return "output"

def _alone(file):
    return "{}\t\t{}".format(_kind(file), file.path)

def _in_dir(file):
    return "{}\t{}\t{}".format(_kind(file), file.basename, file.path)

def _in_repository(file):
    # Another repository's path begins with ../NAME.
    path = file.short_path.split("/", 2)[2] if file.short_path.startswith("../") else file.short_path
    return "{}\t{}\t{}".format(_kind(file), path, file.path)

def _in_package(file):
    path = file.short_path.split("/", 2)[2] if file.short_path.startswith("../") else file.short_path
    if file.owner.package:
        path = path.removeprefix(file.owner.package + "/")
    return "{}\t{}\t{}".format(_kind(file), path, file.path)

def _runfiles_path(short_path):
    # In a target's runfiles another repository stands beside the main one.
    return short_path[3:] if short_path.startswith("../") else "_main/" + short_path

def _runfile(file):
    return "{}\t{}\t{}".format(_kind(file), _runfiles_path(file.short_path), file.path)

def _runfile_symlink(entry):
    return "{}\t_main/{}\t{}".format(_kind(entry.target_file), entry.path, entry.target_file.path)

def _root_symlink(entry):
    return "{}\t{}\t{}".format(_kind(entry.target_file), entry.path, entry.target_file.path)

def _empty_runfile(path):
    return "empty\t{}\t".format(_runfiles_path(path))

def _put(list, files, map_each, mode, folder, attributes):
    """Adds a line for each of the files."""
    list.add_all(
        files,
        map_each = map_each,
        format_each = "put\t{}\t".format(mode) + _escaped(folder) + "\t%s" + _escaped(attributes),
        expand_directories = False,
    )

def _escaped(text):
    # In a format, a percent sign is written twice.
    return text.replace("%", "%%")

def _add_runfiles(list, path, info, attributes):
    """Adds the runfiles of the executable at path, in the folder where it looks for them."""
    runfiles = info.default_runfiles
    folder = path + ".runfiles"
    attributes += "\town=folder"
    _put(list, runfiles.files, _runfile, "0755?", folder, attributes)
    _put(list, runfiles.symlinks, _runfile_symlink, "0755?", folder, attributes)
    _put(list, runfiles.root_symlinks, _root_symlink, "0755?", folder, attributes)
    _put(list, runfiles.empty_filenames, _empty_runfile, "0755?", folder, attributes)
    inputs = [s.target_file for s in runfiles.symlinks.to_list() + runfiles.root_symlinks.to_list()]

    # Programs look other repositories' runfiles up in it.
    mapping = getattr(info.files_to_run, "repo_mapping_manifest", None)
    if mapping:
        _put(list, [mapping], _alone, "0644?", folder + "/_repo_mapping", attributes.removesuffix("\town=folder"))
        inputs.append(mapping)
    return depset(inputs, transitive = [runfiles.files])

def _is_binary(info):
    """Whether a target is a program: it has runfiles of its own. (Every target of one file has an "executable".)"""
    run = info.files_to_run
    if run == None or run.executable == None:
        return False
    return run.runfiles_manifest != None or getattr(run, "repo_mapping_manifest", None) != None

def _add_target(ctx, list, path, target, attributes):
    """Adds what one target has to the list of a layer.

    Args:
      ctx: the rule's context.
      list: the Args that make up the list.
      path: where it goes in the image, as srcs has it.
      target: what goes there.
      attributes: the further fields of a line, each after a tab.

    Returns:
      A depset of the files that the action reads.
    """
    info = target[DefaultInfo]
    mode = ctx.attr.modes.get(path, "")
    if path in ctx.attr.strip_prefix:
        return _add_structure(ctx, list, path, info.files, attributes)
    if _is_binary(info):
        executable = info.files_to_run.executable
        if path.endswith("/"):
            path += executable.basename
        _put(list, [executable], _alone, mode or "0755?", path, attributes)
        inputs = [depset([executable])]
        if ctx.attr.include_runfiles and info.default_runfiles:
            inputs.append(_add_runfiles(list, path, info, attributes))
        return depset(transitive = inputs)

    alone = not path.endswith("/") and len(info.files.to_list()) == 1
    _put(list, info.files, _alone if alone else _in_dir, mode or _default_mode(ctx), path, attributes)
    return info.files

def _default_mode(ctx):
    return (ctx.attr.default_mode or "0644") + "?"

def _add_structure(ctx, list, path, files, attributes):
    """Adds files in the folders that they are in, below the prefix that strip_prefix names."""
    prefix = ctx.attr.strip_prefix[path]
    whole = prefix.startswith("/")
    prefix = prefix.strip("/")
    if prefix and prefix != ".":
        attributes += "\tstrip=" + _plain(ctx, prefix, "the prefix")
    _put(list, files, _in_repository if whole else _in_package, ctx.attr.modes.get(path, "") or _default_mode(ctx), path, attributes)
    return files

def _plain(ctx, text, what):
    if "\t" in text or "\n" in text:
        fail("{}: {} {} must not contain a tab or a line break".format(ctx.label, what, repr(text)))
    return text

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

def _is_pattern(path):
    return "*" in path or "?" in path or "[" in path or "{" in path

def _check_paths(ctx):
    """Refuses attributes that name a path that is not in the layer."""
    known = {path: None for path in ctx.attr.srcs.keys() + ctx.attr.symlinks.keys() + ctx.attr.directories.keys()}
    for name in ["modes", "mtimes", "owners", "strip_prefix", "xattrs"]:
        for path in getattr(ctx.attr, name):
            if path in known or (name == "modes" and _is_pattern(path)):
                continue
            fail("{}: {} names {}, which must be in srcs, symlinks or directories{}".format(
                ctx.label,
                name,
                repr(path),
                "; a pattern, such as \"/opt/**/bin/*\", can name files below them" if name == "modes" else "",
            ))
    for path in ctx.attr.strip_prefix:
        if path not in ctx.attr.srcs:
            fail("{}: strip_prefix names {}, which must be in srcs".format(ctx.label, repr(path)))

def _image_layer_impl(ctx):
    _check_paths(ctx)
    list = ctx.actions.args()
    list.set_param_file_format("multiline")
    inputs = []
    for path, target in ctx.attr.srcs.items():
        _plain(ctx, path, "the path")
        inputs.append(_add_target(ctx, list, path, target, _attributes(ctx, path)))
    for path, to in ctx.attr.symlinks.items():
        list.add("link\t{}\t{}{}".format(_plain(ctx, path, "the path"), _plain(ctx, to, "the link"), _attributes(ctx, path)))
    for path, mode in ctx.attr.directories.items():
        list.add("dir\t{}\t{}{}".format(mode or "0755", _plain(ctx, path, "the path"), _attributes(ctx, path)))
    for path in ctx.attr.remove:
        list.add("remove\t" + _plain(ctx, path, "the path"))
    for path, mode in ctx.attr.modes.items():
        if path not in ctx.attr.srcs and _is_pattern(path):
            list.add("mode\t{}\t{}".format(mode, _plain(ctx, path, "the pattern")))
    listed = ctx.actions.declare_file(ctx.label.name + ".list")
    ctx.actions.write(listed, list)

    args = ctx.actions.args()
    args.add("layer")
    args.add("--list", listed)
    if not ctx.attr.hard_links:
        args.add("--copies")
    parents = ctx.attr.create_parent_directories or ctx.attr._create_parent_directories[BuildSettingInfo].value
    if parents == "enabled":
        args.add("--parents")
    return layer_providers(*write_layer(ctx, args, depset([listed], transitive = inputs)))

image_layer = rule(
    implementation = _image_layer_impl,
    doc = """A layer of an image, from files.

One action writes the blob and a small file of metadata. Everything that is built upon the layer has the metadata only among its inputs; the blob stays where
Bazel puts it, in the remote cache. The same sources give the same blob to the byte, wherever they are built: times are the epoch, owners are root, modes are as said here. What
becomes of links, directories and modes is in [tables](../rules.md#what-is-in-a-layer).

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
        "create_parent_directories": attr.string(
            doc = """`enabled` writes an entry for each directory that something is in and nobody named, as root's, with mode `0755`. `disabled` leaves them out: they stay what they are in
the layers below, a link for example. By default what `@drayage//rules/settings:create_parent_directories` says, which is `disabled`.""",
            values = ["", "disabled", "enabled"],
        ),
        "default_mode": attr.string(
            doc = """Permission bits, in octal, of all files that neither `modes` names nor a binary brings. By default `0644`. The file system is not asked: Bazel makes each
output executable.""",
        ),
        "directories": attr.string_dict(doc = "Directories that must be there even if they are empty, or must have another mode than `0755`: absolute paths, and modes in octal."),
        "hard_links": attr.bool(
            default = True,
            doc = "Whether files that are alike, with the same mode, owner and time, are hard links to the first of them.",
        ),
        "include_runfiles": attr.bool(
            default = True,
            doc = "Whether the runfiles of binaries go with them.",
        ),
        "modes": attr.string_dict(
            doc = """Permission bits, in octal, by path of `srcs`, or by pattern. By default a binary and its runfiles have `0755`, all else has `default_mode`. The path of a
binary gives the mode of the program alone, that of a directory the mode of all files in it.

A pattern is matched with the whole paths of files: `*` is any text without a slash, `**` any number of folders, `?` one character, `[abc]` one of those, `{a,b}` either. So
`{"/opt/jdk/bin/*": "0755"}` makes the programs of a JDK run. Of several patterns that match, the last counts; a path of `srcs` wins over patterns. A pattern that matches nothing is an error.""",
        ),
        "mtime": attr.string(doc = "Time of everything in the layer that `mtimes` does not name: seconds since 1970, or `2006-01-02T15:04:05Z`. By default the epoch."),
        "mtimes": attr.string_dict(doc = "Times by path of `srcs`, `symlinks` or `directories`."),
        "owner": attr.string(doc = "Owner of everything in the layer that `owners` does not name, in numbers: `uid:gid`, or `uid` for both. By default root. Directories between a path of `srcs` and the files below it have the owner too; those above it are not touched."),
        "owners": attr.string_dict(doc = "Owners by path of `srcs`, `symlinks` or `directories`."),
        "remove": attr.string_list(
            doc = """What is deleted from the layers below: absolute paths of files and directories, `["/etc/motd"]`. A path with a slash at its end is a directory that
stays, with nothing but what this layer puts there: `["/usr/share/doc/"]`. (The archive then has an OCI *whiteout* file, `.wh.motd`.)""",
        ),
        "srcs": attr.string_keyed_label_dict(
            doc = """What is in the layer: absolute paths in the image, and the targets that go there. A target with one file is that file; a directory, of the sources or
made by an action, is that directory; several files go into a directory of that name, side by side. A path that ends with `/` is a directory that the target goes into, under its own name.
A binary (a target with runfiles of its own) is its executable, with its runfiles beside it in `PATH.runfiles`. Files keep the folders that they are in if `strip_prefix` names the path.""",
            allow_files = True,
        ),
        "strip_prefix": attr.string_dict(
            doc = """By path of `srcs`: the files go there with the folders that they are in, less this prefix. It is a folder of the package that a file belongs to, or,
with a slash before it, of the repository; `.` strips nothing. `srcs = {"/srv": ":static"}, strip_prefix = {"/srv": "static"}` puts `static/css/site.css` at `/srv/css/site.css`.""",
        ),
        "symlinks": attr.string_dict(doc = "Symbolic links: absolute paths in the image, and what they point to."),
        "xattrs": attr.string_list_dict(
            doc = """Extended attributes by path, each `NAME=VALUE`. A value is text, `0x` and hexadecimal digits, or `0s` and base64, as setfattr(1) has it:
`{"/bin/ping": ["security.capability=0x0100000200200000000000000000000000000000"]}`.""",
        ),
        "_create_parent_directories": attr.label(default = "//rules/settings:create_parent_directories"),
    } | LAYER_ATTRS,
    provides = [LayerInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
