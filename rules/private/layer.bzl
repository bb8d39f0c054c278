"""image_layer: one action that writes a layer's blob and its metadata."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":layer_action.bzl", "LAYER_ATTRS", "layer_providers", "write_layer")
load(":providers.bzl", "LayerInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _kind(file):
    """Returns the kind of a file in the layer's list: see `drayage layer --help`."""
    if file.is_directory:
        return "tree"
    if file.is_source:
        return "file"

    # Since Bazel 8, a symbolic link that a rule declared can be told from a file. Before, the tool finds out.
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
    """Adds a line to the list for each of the files."""
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

    # Programs use it to find the runfiles of other repositories.
    mapping = getattr(info.files_to_run, "repo_mapping_manifest", None)
    if mapping:
        _put(list, [mapping], _alone, "0644?", folder + "/_repo_mapping", attributes.removesuffix("\town=folder"))
        inputs.append(mapping)
    return depset(inputs, transitive = [runfiles.files])

def _is_binary(info):
    """Tells whether a target is a program, which has its own runfiles. (Every target with one file has an "executable".)"""
    run = info.files_to_run
    if run == None or run.executable == None:
        return False
    return run.runfiles_manifest != None or getattr(run, "repo_mapping_manifest", None) != None

def _add_target(ctx, list, path, target, attributes):
    """Adds the files of one target to the list of a layer.

    Args:
      ctx: the rule's context.
      list: the Args of the list.
      path: its path in the image, a key of srcs.
      target: the target that goes there.
      attributes: further fields of a line, with a tab before each.

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
    """Adds files with their folders, without the prefix in strip_prefix."""
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
    """Returns the further fields of the lines for a path: owner, time and extended attributes."""
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
    """Fails if an attribute names a path that is not in the layer."""
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

One action writes the blob and a small metadata file. Only the metadata is an input of what is built upon the layer; the blob stays where Bazel puts it, in the remote
cache. The same sources give the same blob, byte for byte, wherever they are built: times are the epoch, owners are root, modes come from the attributes below.
[Tables](../rules.md#what-is-in-a-layer) say what becomes of links, directories and modes.

```starlark
image_layer(
    name = "app_layer",
    srcs = {
        "/app/bin/server": "//cmd/server",
        "/app/config": "//configs:prod",
    },
)
```

The default output is the metadata. The output group `blob` has the blob.""",
    attrs = {
        "create_parent_directories": attr.string(
            doc = """`enabled` writes an entry for each parent directory that no attribute names, owned by root, with mode `0755`. `disabled` leaves those directories as they are in
the layers below, where one may be a link. The default is `@drayage//rules/settings:create_parent_directories`, which is `disabled`.""",
            values = ["", "disabled", "enabled"],
        ),
        "default_mode": attr.string(
            doc = """Permission bits, in octal, of all files that `modes` does not name and that do not belong to a binary. The default is `0644`. The modes in the file system do not
count: Bazel makes each output executable.""",
        ),
        "directories": attr.string_dict(doc = "Directories that must exist even if they are empty, or need another mode than `0755`: absolute paths, and modes in octal."),
        "hard_links": attr.bool(
            default = True,
            doc = "Whether equal files with the same mode, owner and time become hard links to the first of them.",
        ),
        "include_runfiles": attr.bool(
            default = True,
            doc = "Whether binaries bring their runfiles.",
        ),
        "modes": attr.string_dict(
            doc = """Permission bits, in octal, by path of `srcs` or by pattern. By default a binary and its runfiles have `0755`, and everything else has `default_mode`. The path
of a binary sets the mode of the program only; the path of a directory sets the mode of all files in it.

A pattern must match the whole path of a file: `*` matches any text without a slash, `**` any number of folders, `?` one character, `[abc]` one of these, `{a,b}` either. So
`{"/opt/jdk/bin/*": "0755"}` makes the programs of a JDK executable. If several patterns match, the last one counts; a path of `srcs` wins over patterns. A pattern that matches nothing is an error.""",
        ),
        "mtime": attr.string(doc = "Time of everything in the layer that `mtimes` does not name: seconds since 1970, or `2006-01-02T15:04:05Z`. The default is the epoch."),
        "mtimes": attr.string_dict(doc = "Times by path of `srcs`, `symlinks` or `directories`."),
        "owner": attr.string(doc = "Owner of everything in the layer that `owners` does not name, in numbers: `uid:gid`, or `uid` for both. The default is root. Directories between a path of `srcs` and the files below it get the owner too; those above it do not."),
        "owners": attr.string_dict(doc = "Owners by path of `srcs`, `symlinks` or `directories`."),
        "remove": attr.string_list(
            doc = """Files and directories to delete from the layers below, as absolute paths: `["/etc/motd"]`. With a slash at the end, the directory stays, but only with what this
layer puts there: `["/usr/share/doc/"]`. (The archive then has an OCI *whiteout* file, `.wh.motd`.)""",
        ),
        "srcs": attr.string_keyed_label_dict(
            doc = """The content of the layer: absolute paths in the image, each with the target that goes there. A target with one file becomes that file. A directory, from the sources or
from an action, becomes that directory. Several files go side by side into a directory of that name. If the path ends with `/`, the target goes into that directory, under its own name.
A binary (a target with its own runfiles) becomes its executable, with its runfiles beside it in `PATH.runfiles`. Files keep their folders if `strip_prefix` names the path.""",
            allow_files = True,
        ),
        "strip_prefix": attr.string_dict(
            doc = """Prefixes by path of `srcs`: the files go there with their folders, without this prefix. The prefix is a folder of the package that a file belongs to or,
if it begins with a slash, of the repository; `.` strips nothing. `srcs = {"/srv": ":static"}, strip_prefix = {"/srv": "static"}` puts `static/css/site.css` at `/srv/css/site.css`.""",
        ),
        "symlinks": attr.string_dict(doc = "Symbolic links: absolute paths in the image, and what they point to."),
        "xattrs": attr.string_list_dict(
            doc = """Extended attributes by path, each `NAME=VALUE`. A value is text, `0x` with hexadecimal digits, or `0s` with base64, as in setfattr(1):
`{"/bin/ping": ["security.capability=0x0100000200200000000000000000000000000000"]}`.""",
        ),
        "_create_parent_directories": attr.label(default = "//rules/settings:create_parent_directories"),
    } | LAYER_ATTRS,
    provides = [LayerInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
