"""Rules that make files in the forms in which rule sets make them."""

def _made_tree(ctx, command):
    tree = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        arguments = [tree.path],
        command = command,
        outputs = [tree],
    )
    return [DefaultInfo(files = depset([tree]))]

def _tree_impl(ctx):
    return _made_tree(ctx, """
        set -eu
        cd "$1"
        mkdir -p bin lib empty/deep
        ln -s lib lib64
        ln -s ../lib/data bin/data
        echo data >lib/data
        printf '#!/bin/sh\\necho java\\n' >bin/java
    """)

tree = rule(
    implementation = _tree_impl,
    doc = "A directory with links and an empty directory, as a JDK has them.",
)

def _empty_tree_impl(ctx):
    return _made_tree(ctx, "mkdir \"$1/inner\"")

empty_tree = rule(
    implementation = _empty_tree_impl,
    doc = "A directory without a file.",
)

def _linked(ctx, link, **to):
    ctx.actions.symlink(output = link, **to)
    return [DefaultInfo(files = depset([link]))]

def _linked_tree_impl(ctx):
    return _linked(ctx, ctx.actions.declare_directory(ctx.label.name), target_file = ctx.file.tree)

linked_tree = rule(
    implementation = _linked_tree_impl,
    doc = "A directory that is a link to another.",
    attrs = {"tree": attr.label(
        allow_single_file = True,
        doc = "The other.",
    )},
)

def _linked_file_impl(ctx):
    return _linked(ctx, ctx.actions.declare_file(ctx.label.name), target_file = ctx.file.src)

linked_file = rule(
    implementation = _linked_file_impl,
    doc = "A file that is a link to another.",
    attrs = {"src": attr.label(
        allow_single_file = True,
        doc = "The other.",
    )},
)

def _declared_link_impl(ctx):
    return _linked(ctx, ctx.actions.declare_symlink(ctx.label.name), target_path = ctx.attr.to)

declared_link = rule(
    implementation = _declared_link_impl,
    doc = "A symbolic link with a text.",
    attrs = {"to": attr.string(doc = "The text.")},
)

def _library_impl(ctx):
    file = ctx.actions.declare_file(ctx.label.name + ".so.1")
    link = ctx.actions.declare_file(ctx.label.name + ".so")
    ctx.actions.run_shell(
        arguments = [file.path, link.path],
        command = "echo library >$1 && ln -s $(basename $1) $2",
        outputs = [file, link],
    )
    return [
        DefaultInfo(files = depset([file, link])),
        OutputGroupInfo(link = depset([link])),
    ]

library = rule(
    implementation = _library_impl,
    doc = "A file, and a link to it that an action made in the place of a file.",
)

def _program_impl(ctx):
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(executable, ctx.attr.script, is_executable = True)
    return [DefaultInfo(
        executable = executable,
        runfiles = ctx.runfiles(ctx.files.data),
    )]

program = rule(
    implementation = _program_impl,
    doc = "A program with runfiles.",
    attrs = {
        "data": attr.label_list(
            allow_files = True,
            doc = "Runfiles.",
        ),
        "script": attr.string(default = "#!/bin/sh\necho program\n"),
    },
    executable = True,
)

def _node_modules_impl(ctx):
    # A package is a directory in a store, and links lead to it: from the folder
    # where it is looked for, and from those of the packages that depend on it.
    store = ctx.label.name + "/.store/"
    greet = ctx.actions.declare_directory(store + "greet@1.0.0/node_modules/greet")
    ctx.actions.run_shell(
        arguments = [greet.path],
        command = "echo '. \"$NODE_MODULES/greet/../name/index.sh\"; echo \"hello $name\"' >$1/index.sh",
        outputs = [greet],
    )
    name = ctx.actions.declare_directory(store + "name@2.0.0/node_modules/name")
    ctx.actions.run_shell(
        arguments = [name.path],
        command = "echo 'name=world' >$1/index.sh",
        outputs = [name],
    )
    links = {
        ".store/greet@1.0.0/node_modules/name": "../../name@2.0.0/node_modules/name",
        "greet": ".store/greet@1.0.0/node_modules/greet",
    }
    files = [greet, name]
    for path, to in links.items():
        link = ctx.actions.declare_symlink(ctx.label.name + "/" + path)
        ctx.actions.symlink(
            output = link,
            target_path = to,
        )
        files.append(link)
    return [DefaultInfo(
        files = depset(files),
        runfiles = ctx.runfiles(files),
    )]

node_modules = rule(
    implementation = _node_modules_impl,
    doc = "Packages as pnpm lays them out.",
)
