"""Things to put into layers."""

def _tree_impl(ctx):
    tree = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        arguments = [tree.path, "long-" * 30],
        command = """
            set -eu
            cd "$1"
            mkdir -p "$2/$2/$2"
            echo long >"$2/100"
            echo longer >"$2/$2/$2/255"
            echo ümlaut >größe
            echo run >program
            chmod +x program
            echo 'the same' >first
            echo 'the same' >second
            # More than eStargz puts into one chunk.
            head -c 5000000 /dev/zero >large
        """,
        outputs = [tree],
    )
    return [DefaultInfo(files = depset([tree]))]

tree = rule(
    implementation = _tree_impl,
    doc = "A directory.",
)

def _program_impl(ctx):
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(executable, "#!/bin/sh\necho hello\n", is_executable = True)
    linked = ctx.actions.declare_file(ctx.label.name + ".linked")
    ctx.actions.write(linked, "linked\n")
    return [DefaultInfo(
        executable = executable,
        runfiles = ctx.runfiles(
            [executable] + ctx.files.data,
            root_symlinks = {"top/link": linked},
            symlinks = {"below/link": linked},
        ),
    )]

program = rule(
    implementation = _program_impl,
    doc = "A program with runfiles.",
    attrs = {"data": attr.label_list(
        allow_files = True,
        doc = "Runfiles.",
    )},
    executable = True,
)
