"""Tests of the rules that make layers: what they hand to their action, and what they refuse."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:layer.bzl", "image_layer", "layer_from_tar")
load("//rules:providers.bzl", "LayerInfo")
load(":actions.bzl", "action_of", "flags", "names", "read_by", "refused")
load(":subjects.bzl", "files", "program", "tree")

_COMPRESS = str(Label("//rules/settings:compress"))
_ESTARGZ = str(Label("//rules/settings:estargz"))
_PARENTS = str(Label("//rules/settings:create_parent_directories"))
_DIGEST_FUNCTION = str(Label("//rules/settings:digest_function"))

def _providers_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[LayerInfo]
    action = action_of(env, "ImageLayer")
    asserts.equals(env, ["everything.layer.json"], names(target[DefaultInfo].files), "default outputs")
    asserts.equals(env, [info.blob], target[OutputGroupInfo].blob.to_list(), "output group blob")
    asserts.equals(env, ["everything.layer.json", "everything.tar.gz"], names(action.outputs), "one action makes both")
    return analysistest.end(env)

providers_test = analysistest.make(_providers_impl)

def _list_impl(ctx):
    env = analysistest.begin(ctx)
    listed = [
        a.content
        for a in analysistest.target_actions(env)
        if a.outputs.to_list()[0].basename == ctx.attr.of + ".list"
    ][0]
    listed = listed.replace(analysistest.target_bin_dir_path(env) + "/rules/tests", "OUT")

    # Bazel 8 tells that no link is what it is.
    listed = listed.replace("\toutput\t", "\tfile\t")
    lines = listed.rstrip("\n").split("\n")
    for line in ctx.attr.lines:
        asserts.true(env, line in lines, "no line {} in\n{}".format(repr(line), listed))
    if ctx.attr.whole:
        asserts.equals(env, "\n".join(ctx.attr.lines), "\n".join(lines))
    return analysistest.end(env)

list_test = analysistest.make(
    _list_impl,
    attrs = {
        "lines": attr.string_list(),
        "of": attr.string(),
        "whole": attr.bool(default = True),
    },
)

def _inputs_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.equals(env, sorted(ctx.attr.files), read_by(action_of(env, "ImageLayer")))
    return analysistest.end(env)

inputs_test = analysistest.make(
    _inputs_impl,
    attrs = {"files": attr.string_list()},
)

def _command_impl(ctx):
    env = analysistest.begin(ctx)
    action = action_of(env, "ImageLayer")
    blob = analysistest.target_under_test(env)[LayerInfo].blob
    asserts.equals(env, ctx.attr.blob, blob.basename)
    asserts.equals(env, ctx.attr.compress, flags(action, "--compress"))
    asserts.equals(env, ctx.attr.estargz, "--estargz" in action.argv)
    asserts.equals(env, [ctx.attr.digest_function], flags(action, "--digest-function"))
    asserts.equals(env, ctx.attr.level, flags(action, "--level"))
    asserts.equals(env, ctx.attr.copies, "--copies" in action.argv)
    asserts.equals(env, ctx.attr.parents, "--parents" in action.argv)
    return analysistest.end(env)

_COMMAND_ATTRS = {
    "blob": attr.string(),
    "compress": attr.string_list(),
    "copies": attr.bool(),
    "digest_function": attr.string(default = "sha256"),
    "estargz": attr.bool(),
    "level": attr.string_list(),
    "parents": attr.bool(),
}

command_test = analysistest.make(_command_impl, attrs = _COMMAND_ATTRS)

# Under settings that are not the default ones.
other_settings_test = analysistest.make(
    _command_impl,
    attrs = _COMMAND_ATTRS,
    config_settings = {
        _COMPRESS: "zstd",
        _DIGEST_FUNCTION: "blake3",
        _ESTARGZ: "enabled",
        _PARENTS: "enabled",
    },
)

estargz_setting_test = analysistest.make(
    _command_impl,
    attrs = _COMMAND_ATTRS,
    config_settings = {_ESTARGZ: "enabled"},
)

def _subjects():
    files(
        name = "one",
        outs = ["one.txt"],
        tags = ["manual"],
    )
    files(
        name = "two",
        outs = ["a.txt", "b.txt"],
        tags = ["manual"],
    )
    tree(
        name = "directory",
        tags = ["manual"],
    )
    program(
        name = "prog",
        data = [":one", "BUILD.bazel", ":directory"],
        tags = ["manual"],
    )

def _lists():
    image_layer(
        name = "everything",
        srcs = {
            "/data/": ":one",
            "/etc/config": ":one",
            "/several": ":two",
            "/source": "BUILD.bazel",
            "/tree": ":directory",
        },
        directories = {
            "/tmp": "1777",
            "/var/empty": "",
        },
        modes = {
            "/etc/config": "0600",
            "/several": "0755",
        },
        mtime = "1700000000",
        mtimes = {"/source": "2026-01-02T03:04:05Z"},
        owner = "7:8",
        owners = {
            "/tmp": "0:0",
            "/tree": "1000",
        },
        symlinks = {"/bin/sh": "busybox"},
        tags = ["manual"],
        xattrs = {"/etc/config": ["user.a=100%", "user.b=0x00ff"]},
    )
    providers_test(
        name = "providers_test",
        target_under_test = ":everything",
    )
    usual = "\tuid=7\tgid=8\tmtime=1700000000"
    list_test(
        name = "list_test",
        lines = [
            "put\t0644?\t/data/\tfile\tone.txt\tOUT/one.txt" + usual,
            "put\t0600\t/etc/config\tfile\t\tOUT/one.txt" + usual + "\txattr:user.a=100%\txattr:user.b=0x00ff",
            "put\t0755\t/several\tfile\ta.txt\tOUT/a.txt" + usual,
            "put\t0755\t/several\tfile\tb.txt\tOUT/b.txt" + usual,
            "put\t0644?\t/source\tfile\t\trules/tests/BUILD.bazel\tuid=7\tgid=8\tmtime=2026-01-02T03:04:05Z",
            "put\t0644?\t/tree\ttree\t\tOUT/directory\tuid=1000\tgid=1000\tmtime=1700000000",
            "link\t/bin/sh\tbusybox" + usual,
            "dir\t1777\t/tmp\tuid=0\tgid=0\tmtime=1700000000",
            "dir\t0755\t/var/empty" + usual,
        ],
        of = "everything",
        target_under_test = ":everything",
    )
    inputs_test(
        name = "inputs_test",
        files = ["BUILD.bazel", "a.txt", "b.txt", "directory", "everything.list", "one.txt"],
        target_under_test = ":everything",
    )

    image_layer(
        name = "with_program",
        srcs = {"/bin/prog": ":prog"},
        owner = "5",
        tags = ["manual"],
    )
    list_test(
        name = "runfiles_test",
        lines = [
            "put\t0755?\t/bin/prog\tfile\t\tOUT/prog\tuid=5\tgid=5",
            "put\t0755?\t/bin/prog.runfiles\tfile\t_main/rules/tests/one.txt\tOUT/one.txt\tuid=5\tgid=5\town=folder",
            "put\t0755?\t/bin/prog.runfiles\tfile\t_main/rules/tests/BUILD.bazel\trules/tests/BUILD.bazel\tuid=5\tgid=5\town=folder",
            "put\t0755?\t/bin/prog.runfiles\ttree\t_main/rules/tests/directory\tOUT/directory\tuid=5\tgid=5\town=folder",
            "put\t0755?\t/bin/prog.runfiles\tfile\t_main/below/link\tOUT/prog.target\tuid=5\tgid=5\town=folder",
            "put\t0755?\t/bin/prog.runfiles\tfile\troot/link\tOUT/prog.target\tuid=5\tgid=5\town=folder",
        ],
        of = "with_program",
        target_under_test = ":with_program",
        # Bazel adds a file of its own, of another name in each version.
        whole = False,
    )
    image_layer(
        name = "program_alone",
        srcs = {"/bin/prog": ":prog"},
        include_runfiles = False,
        tags = ["manual"],
    )
    list_test(
        name = "no_runfiles_test",
        lines = ["put\t0755?\t/bin/prog\tfile\t\tOUT/prog"],
        of = "program_alone",
        target_under_test = ":program_alone",
    )
    image_layer(
        name = "program_in_folder",
        srcs = {"/100%/": ":prog"},
        include_runfiles = False,
        tags = ["manual"],
    )
    list_test(
        name = "program_in_folder_test",
        lines = ["put\t0755?\t/100%/prog\tfile\t\tOUT/prog"],
        of = "program_in_folder",
        target_under_test = ":program_in_folder",
    )
    native.filegroup(
        name = "group_of_directory",
        srcs = [":directory"],
    )
    image_layer(
        name = "not_programs",
        srcs = {
            "/etc/": "one.txt",
            "/in/": ":group_of_directory",
            "/one": "one.txt",
            "/opt/tree": ":group_of_directory",
            "/srv": ":two",
            "/srv2": "BUILD.bazel",
        },
        default_mode = "0444",
        modes = {
            "/opt/**/o*": "0755",
            "/srv": "0400",
        },
        remove = [
            "/etc/motd",
            "/usr/share/doc/",
        ],
        strip_prefix = {
            "/srv": ".",
            "/srv2": "/rules/",
        },
        tags = ["manual"],
    )
    list_test(
        name = "not_programs_test",
        lines = [
            "put\t0444?\t/etc/\tfile\tone.txt\tOUT/one.txt",
            "put\t0444?\t/in/\ttree\tdirectory\tOUT/directory",
            "put\t0444?\t/one\tfile\t\tOUT/one.txt",
            "put\t0444?\t/opt/tree\ttree\t\tOUT/directory",
            "put\t0400\t/srv\tfile\ta.txt\tOUT/a.txt",
            "put\t0400\t/srv\tfile\tb.txt\tOUT/b.txt",
            "put\t0444?\t/srv2\tfile\trules/tests/BUILD.bazel\trules/tests/BUILD.bazel\tstrip=rules",
            "remove\t/etc/motd",
            "remove\t/usr/share/doc/",
            "mode\t0755\t/opt/**/o*",
        ],
        of = "not_programs",
        target_under_test = ":not_programs",
    )
    inputs_test(
        name = "no_runfiles_inputs_test",
        files = ["prog", "program_alone.list"],
        target_under_test = ":program_alone",
    )

def _commands():
    image_layer(
        name = "plain",
        srcs = {"/one": ":one"},
        tags = ["manual"],
    )
    command_test(
        name = "default_command_test",
        blob = "plain.tar.gz",
        compress = ["gzip"],
        target_under_test = ":plain",
    )
    other_settings_test(
        name = "settings_test",
        blob = "plain.tar.zst",
        compress = ["zstd"],
        digest_function = "blake3",
        # The setting is for layers that can have it.
        estargz = False,
        parents = True,
        target_under_test = ":plain",
    )
    estargz_setting_test(
        name = "estargz_setting_test",
        blob = "plain.tar.gz",
        compress = ["gzip"],
        estargz = True,
        target_under_test = ":plain",
    )
    image_layer(
        name = "particular",
        srcs = {"/one": ":one"},
        compress = "gzip",
        create_parent_directories = "disabled",
        estargz = "disabled",
        hard_links = False,
        level = 9,
        tags = ["manual"],
    )
    other_settings_test(
        name = "attributes_win_test",
        blob = "particular.tar.gz",
        compress = ["gzip"],
        copies = True,
        digest_function = "blake3",
        level = ["9"],
        target_under_test = ":particular",
    )

def _archives():
    layer_from_tar(
        name = "taken",
        src = ":one",
        tags = ["manual"],
    )
    other_settings_test(
        name = "archive_as_it_is_test",
        blob = "taken.blob",
        compress = [],
        digest_function = "blake3",
        target_under_test = ":taken",
    )
    inputs_test(
        name = "archive_inputs_test",
        files = ["one.txt"],
        target_under_test = ":taken",
    )
    layer_from_tar(
        name = "compressed_anew",
        src = ":one",
        compress = "zstd",
        tags = ["manual"],
    )
    command_test(
        name = "archive_anew_test",
        blob = "compressed_anew.tar.zst",
        compress = ["zstd"],
        target_under_test = ":compressed_anew",
    )

def _refusals():
    refused(
        image_layer,
        name = "mode_of_nothing",
        says = "//rules/tests:mode_of_nothing: modes names \"/two\", which must be in srcs, symlinks or directories; a pattern, such as",
        srcs = {"/one": ":one"},
        modes = {"/two": "0755"},
    )
    refused(
        image_layer,
        name = "prefix_of_nothing",
        says = "strip_prefix names \"/two\", which must be in srcs",
        srcs = {"/one": ":one"},
        strip_prefix = {"/two": "static"},
    )
    refused(
        image_layer,
        name = "tab_in_path",
        says = "the path \"/one\\ttwo\" must not contain a tab or a line break",
        srcs = {"/one\ttwo": ":one"},
    )
    refused(
        image_layer,
        name = "zstd_estargz",
        says = "estargz must have compress = \"gzip\", but compress is zstd",
        srcs = {"/one": ":one"},
        compress = "zstd",
        estargz = "enabled",
    )

def layer_tests(name):
    """All tests of this file.

    Args:
      name: the suite's.
    """
    _subjects()
    _lists()
    _commands()
    _archives()
    _refusals()
    native.test_suite(
        name = name,
        tests = [
            ":archive_anew_test",
            ":archive_as_it_is_test",
            ":archive_inputs_test",
            ":attributes_win_test",
            ":default_command_test",
            ":estargz_setting_test",
            ":inputs_test",
            ":list_test",
            ":mode_of_nothing_test",
            ":no_runfiles_inputs_test",
            ":no_runfiles_test",
            ":not_programs_test",
            ":prefix_of_nothing_test",
            ":program_in_folder_test",
            ":providers_test",
            ":runfiles_test",
            ":settings_test",
            ":tab_in_path_test",
            ":zstd_estargz_test",
        ],
    )
