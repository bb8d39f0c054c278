"""Targets of kinds that layers are made of, for tests to look at."""

def _files_impl(ctx):
    for file in ctx.outputs.outs:
        ctx.actions.write(file, file.basename)
    return [DefaultInfo(files = depset(ctx.outputs.outs))]

files = rule(
    implementation = _files_impl,
    doc = "Files that hold their own names.",
    attrs = {"outs": attr.output_list(doc = "The files.")},
)

def _tree_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        command = "echo 1 >$1/one",
        arguments = [tree.path],
        outputs = [tree],
    )
    return [DefaultInfo(files = depset([tree]))]

tree = rule(
    implementation = _tree_impl,
    doc = "A directory.",
)

def _program_impl(ctx):
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(executable, "#!/bin/sh\n", is_executable = True)
    link = ctx.actions.declare_file(ctx.label.name + ".target")
    ctx.actions.write(link, "")
    return [DefaultInfo(
        executable = executable,
        runfiles = ctx.runfiles(
            ctx.files.data,
            root_symlinks = {"root/link": link},
            symlinks = {"below/link": link},
        ),
    )]

program = rule(
    implementation = _program_impl,
    doc = "A program with all kinds of runfiles.",
    attrs = {"data": attr.label_list(
        allow_files = True,
        doc = "Runfiles.",
    )},
    executable = True,
)
