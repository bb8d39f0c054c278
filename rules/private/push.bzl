"""image_push: the push spec of an image, and multi_push, which runs several."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":launcher.bzl", "LAUNCHER_ATTRS", "launcher")
load(":providers.bzl", "ImageIndexInfo", "ImageManifestInfo", "PushSpecInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE", "tool")

def _write_spec(ctx, spec, images, index, registry, repository):
    """Declares the action that writes one push spec."""
    tags = ([ctx.attr.tag] if ctx.attr.tag else []) + ctx.attr.tag_list
    inputs = [image.manifest for image in images] + [image.config for image in images]

    args = ctx.actions.args()
    args.set_param_file_format("multiline")
    args.use_param_file("@%s", use_always = False)
    args.add("pushspec")
    args.add("--out", spec)
    args.add(str(ctx.label), format = "--target=%s")
    if index:
        args.add("--index", index)
        inputs.append(index)
    args.add_all([image.manifest for image in images], before_each = "--manifest", uniquify = False)
    args.add_all([image.config for image in images], before_each = "--config", uniquify = False)
    layers = depset(transitive = [image.layers for image in images])
    args.add_all(layers, before_each = "--layer")
    args.add(registry, format = "--registry=%s")
    args.add(repository, format = "--repository=%s")
    args.add_all(tags, format_each = "--tag=%s", uniquify = True)
    if ctx.file.tag_file:
        args.add("--tag-file", ctx.file.tag_file)
        inputs.append(ctx.file.tag_file)

    ctx.actions.run(
        executable = tool(ctx),
        arguments = [args],
        inputs = depset(inputs, transitive = [layers]),
        outputs = [spec],
        mnemonic = "PushSpec",
        progress_message = "Writing push spec %{label}",
        toolchain = TOOLCHAIN_TYPE,
    )

def _image_push_impl(ctx):
    if ImageIndexInfo in ctx.attr.image:
        images = ctx.attr.image[ImageIndexInfo].images
        index = ctx.attr.image[ImageIndexInfo].index
    else:
        images = [ctx.attr.image[ImageManifestInfo]]
        index = None

    destinations = [(ctx.attr.registry, ctx.attr.repository)]
    for place in ctx.attr.also_to:
        host, _, repository = place.partition("/")
        if not repository:
            fail("{}: {} in also_to is not of the form HOST/REPOSITORY".format(ctx.label, repr(place)))
        destinations.append((host, repository))

    files = []
    for i, (registry, repository) in enumerate(destinations):
        spec = ctx.actions.declare_file("{}{}.pushspec.json".format(ctx.label.name, ".{}".format(i + 1) if i else ""))
        files.append(spec)
        _write_spec(ctx, spec, images, index, ctx.attr._registry[BuildSettingInfo].value or registry, repository)
    specs = depset(files)

    strategy = ctx.attr.strategy or ctx.attr._strategy[BuildSettingInfo].value
    needed = ctx.runfiles([ctx.info_file, ctx.version_file], transitive_files = specs)
    if strategy == "eager":
        needed = needed.merge(ctx.runfiles(transitive_files = depset(transitive = [image.blobs for image in images])))
    executable, runfiles = launcher(ctx, strategy, files, needed)
    return [
        DefaultInfo(
            executable = executable,
            files = specs,
            runfiles = runfiles,
        ),
        OutputGroupInfo(push_spec = specs),
        PushSpecInfo(runfiles = needed, specs = specs),
    ]

_STRATEGY_DOC = """What `bazel run` does: `lazy` streams what the registry lacks from the remote cache (or, of a base, from its registry); `eager` has the layers brought to this
machine by the build; `bes` leaves the push to the daemon, which has seen the spec in the build's events. By default what `@drayage//rules/settings:push_strategy` says, which is `lazy`."""

image_push = rule(
    implementation = _image_push_impl,
    doc = """Says that an image is to be pushed, where to and under which tags.

Building the target writes a push spec, a few kilobytes of JSON. Where build events go to the daemon, it finds the spec there and pushes the image; nothing is pushed by the
machine that runs Bazel. The spec is the default output, and is in the output group `push_spec`. `bazel run` pushes from here.

```starlark
image_push(
    name = "push_app",
    image = ":app",
    registry = "ghcr.io",
    repository = "my-project/app",
    tag = "latest",
)
```

`repository` and tags may hold *stamp variables*: `{BUILD_SCM_REVISION}` stands for what the workspace status or `--build_metadata` says. They are filled in when the image is pushed, so that a
new commit does not run a cached action again.""",
    attrs = {
        "also_to": attr.string_list(doc = "More places for the same image under the same tags, each `HOST/REPOSITORY`. Each has a push spec of its own."),
        "image": attr.label(
            doc = "The image, or the index.",
            mandatory = True,
            providers = [[ImageManifestInfo], [ImageIndexInfo]],
        ),
        "registry": attr.string(
            doc = "Host of the registry, with its port if it has one. `--@drayage//rules/settings:registry` puts another in its place.",
            mandatory = True,
        ),
        "repository": attr.string(
            doc = "Name of the repository in the registry.",
            mandatory = True,
        ),
        "strategy": attr.string(
            doc = _STRATEGY_DOC,
            values = ["", "bes", "eager", "lazy"],
        ),
        "tag": attr.string(doc = "A tag. With no tag at all the image is pushed by digest."),
        "tag_file": attr.label(
            allow_single_file = True,
            doc = "A file with more tags, one a line.",
        ),
        "tag_list": attr.string_list(doc = "More tags. (`tags` is an attribute of every Bazel rule and means another thing.)"),
        "_registry": attr.label(default = "//rules/settings:registry"),
        "_strategy": attr.label(default = "//rules/settings:push_strategy"),
    } | LAUNCHER_ATTRS,
    executable = True,
    provides = [PushSpecInfo],
    toolchains = [TOOLCHAIN_TYPE],
)

def _multi_push_impl(ctx):
    specs = depset(transitive = [push[PushSpecInfo].specs for push in ctx.attr.pushes])
    needed = ctx.runfiles().merge_all([push[PushSpecInfo].runfiles for push in ctx.attr.pushes])
    strategy = ctx.attr.strategy or ctx.attr._strategy[BuildSettingInfo].value
    executable, runfiles = launcher(ctx, strategy, specs.to_list(), needed)
    return [
        DefaultInfo(executable = executable, files = specs, runfiles = runfiles),
        OutputGroupInfo(push_spec = specs),
        PushSpecInfo(runfiles = needed, specs = specs),
    ]

multi_push = rule(
    implementation = _multi_push_impl,
    doc = """Several pushes in one `bazel run`, which shares what the images have in common: a blob is sent once to each registry.

```starlark
multi_push(
    name = "push_all",
    pushes = ["//app:push", "//db:push"],
)
```""",
    attrs = {
        "pushes": attr.label_list(
            doc = "The `image_push` targets.",
            mandatory = True,
            providers = [PushSpecInfo],
        ),
        "strategy": attr.string(
            doc = _STRATEGY_DOC,
            values = ["", "bes", "eager", "lazy"],
        ),
        "_strategy": attr.label(default = "//rules/settings:push_strategy"),
    } | LAUNCHER_ATTRS,
    executable = True,
    provides = [PushSpecInfo],
)
