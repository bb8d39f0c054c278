"""image_push: the push spec of an image, and multi_push, which runs several."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":bes_launcher.bzl", "bes_launcher")
load(":blobs.bzl", "made_here")
load(":gate.bzl", "GATE_DOC", "GATE_VALUES", "strictest_gate")
load(":launcher.bzl", "LAUNCHER_ATTRS", "launcher")
load(":providers.bzl", "ArtifactInfo", "ImageIndexInfo", "ImageManifestInfo", "PushSpecInfo")
load(":spec.bzl", "content", "destination", "image_of", "parse_destination", "write_referrers", "write_spec")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")
load(":uncached.bzl", "UncachedInfo", "uncached")

def _image_push_impl(ctx):
    image = image_of(ctx.attr.image)
    tags = ([ctx.attr.tag] if ctx.attr.tag else []) + ctx.attr.tag_list
    override = ctx.attr._registry[BuildSettingInfo].value

    destinations = [(override or ctx.attr.registry, ctx.attr.repository)]
    for address in ctx.attr.also_to:
        registry, repository, tag = parse_destination(ctx, address, "also_to", override)
        if tag:
            fail("{}: {} in also_to must have no tag; tag and tag_list hold the tags of every destination".format(ctx.label, repr(address)))
        destinations.append((registry, repository))

    referrers = write_referrers(ctx, ctx.attr.referrers, image.index or image.images[0].manifest)
    kept_out = depset(transitive = [target[UncachedInfo].found for target in [ctx.attr.image] + ctx.attr.referrers])
    pushed = content(image.images, image.index, referrers, kept_out)
    gate = strictest_gate([ctx.attr.gate, ctx.attr._gate[BuildSettingInfo].value])
    files = [
        write_spec(
            ctx,
            ctx.label.name + (".{}".format(i + 1) if i else ""),
            pushed,
            destination(registry, repository, tags, ctx.file.tag_file, ctx.attr.overwrite, gate),
        )
        for i, (registry, repository) in enumerate(destinations)
    ]
    specs = depset(files)

    strategy = ctx.attr.strategy or ctx.attr._strategy[BuildSettingInfo].value
    needed = ctx.runfiles([ctx.info_file, ctx.version_file], transitive_files = specs)
    blobs = depset(
        [blob for artifact in ctx.attr.referrers for blob in artifact[ArtifactInfo].blobs],
        transitive = [i.blobs for i in image.images],
    )
    if strategy == "eager":
        needed = needed.merge(ctx.runfiles(transitive_files = blobs))
    if strategy == "bes":
        executable, runfiles = bes_launcher(ctx, [gate])
    else:
        executable, runfiles = launcher(ctx, strategy, files, needed, blobs)
    return [
        DefaultInfo(
            executable = executable,
            files = specs,
            runfiles = runfiles,
        ),
        OutputGroupInfo(blobs = made_here(blobs), push_spec = specs),
        PushSpecInfo(blobs = blobs, gate = gate, runfiles = needed, specs = specs),
    ]

# How `bazel run` pushes: the values are those of the setting.
_STRATEGY_ATTRS = {
    "strategy": attr.string(
        doc = """What `bazel run` does. `lazy` streams what the registry lacks from where the build left it on this machine, from the remote cache or, for a base, from its registry. `eager` has the build download the layers to this
machine first. `cas_registry` sends only manifests and configs, to a registry that reads the remote cache itself, such as drayaged's own. `bes` leaves the push to the daemon, which saw the spec in the build's events. The default is `@drayage//rules/settings:push_strategy`, which is `lazy`.""",
        values = ["", "bes", "cas_registry", "eager", "lazy"],
    ),
    "_strategy": attr.label(default = "//rules/settings:push_strategy"),
}

image_push = rule(
    implementation = _image_push_impl,
    doc = """Says where to push an image, and under which tags.

Building the target writes a push spec, a few kilobytes of JSON. If build events go to the daemon, it finds the spec there and pushes the image; the machine that runs Bazel pushes
nothing. The spec is the default output, and is also in the output group `push_spec`. The output group `blobs` has the layers that the build made, [so that Bazel uploads
them](../cache.md#a-bazelrc-that-uploads-what-is-there). `bazel run` pushes from this machine.

```starlark
image_push(
    name = "push_app",
    image = ":app",
    registry = "ghcr.io",
    repository = "my-project/app",
    tag = "latest",
)
```

`repository` and tags may contain [*stamp variables*](../push-spec.md#stamp-variables): `{BUILD_SCM_REVISION}` stands for its value in the workspace status or in `--build_metadata`, `{BRANCH|slug}` for a value of
which a part of a tag is made, and `{VERSION:-dev}` has a default. They are filled in when the image is pushed, so that a new commit does not run a cached action again.""",
    attrs = {
        "also_to": attr.string_list(doc = "More destinations for the same image under the same tags, each `HOST/REPOSITORY`. Each gets its own push spec."),
        "gate": attr.string(
            doc = GATE_DOC + " `bazel run` [minds the gate too](../settings.md#gates-and-bazel-run).",
            values = GATE_VALUES,
        ),
        "image": attr.label(
            aspects = [uncached],
            doc = "The image, or the index.",
            mandatory = True,
            providers = [[ImageManifestInfo], [ImageIndexInfo]],
        ),
        "overwrite": attr.string(
            default = "always",
            doc = """Whether to move a tag that points to another image. With `never`, such a tag fails the push, and none of its tags is written; a tag that already points to this
image is fine. See [Tags that are never written over](../haul.md#tags-that-are-never-written-over).""",
            values = ["always", "never"],
        ),
        "referrers": attr.label_list(
            aspects = [uncached],
            doc = "Artifacts about the image, such as a bill of materials: `image_artifact` targets. They are pushed before the tags.",
            providers = [ArtifactInfo],
        ),
        "registry": attr.string(
            doc = "Host of the registry, with its port if it has one. `--@drayage//rules/settings:registry` replaces it.",
            mandatory = True,
        ),
        "repository": attr.string(
            doc = "Name of the repository in the registry.",
            mandatory = True,
        ),
        "tag": attr.string(doc = "A tag. Without any tag, the image is pushed by its digest only."),
        "tag_file": attr.label(
            allow_single_file = True,
            doc = "A file with more tags, one per line.",
        ),
        "tag_list": attr.string_list(doc = "More tags. (`tags` is another attribute, which every Bazel rule has.)"),
        "_gate": attr.label(default = "//rules/settings:gate"),
        "_registry": attr.label(default = "//rules/settings:registry"),
    } | _STRATEGY_ATTRS | LAUNCHER_ATTRS,
    executable = True,
    provides = [PushSpecInfo],
    toolchains = [TOOLCHAIN_TYPE],
)

def _multi_push_impl(ctx):
    specs = depset(transitive = [push[PushSpecInfo].specs for push in ctx.attr.pushes])

    # A rule of somebody else's may know of no blobs, and of no gate.
    blobs = depset(transitive = [getattr(push[PushSpecInfo], "blobs", depset()) for push in ctx.attr.pushes])
    needed = ctx.runfiles().merge_all([push[PushSpecInfo].runfiles for push in ctx.attr.pushes])
    strategy = ctx.attr.strategy or ctx.attr._strategy[BuildSettingInfo].value
    gates = [getattr(push[PushSpecInfo], "gate", "") for push in ctx.attr.pushes]
    if strategy == "bes":
        executable, runfiles = bes_launcher(ctx, gates)
    else:
        executable, runfiles = launcher(ctx, strategy, specs.to_list(), needed, blobs)
    return [
        DefaultInfo(executable = executable, files = specs, runfiles = runfiles),
        OutputGroupInfo(blobs = made_here(blobs), push_spec = specs),
        PushSpecInfo(blobs = blobs, gate = strictest_gate(gates), runfiles = needed, specs = specs),
    ]

multi_push = rule(
    implementation = _multi_push_impl,
    doc = """Several pushes in one `bazel run`. What the images share is sent only once to each registry. Each target keeps its `gate`.

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
    } | _STRATEGY_ATTRS | LAUNCHER_ATTRS,
    executable = True,
    provides = [PushSpecInfo],
)
