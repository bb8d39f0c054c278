"""image_import: an image of which the metadata are there as files."""

load(":action.bzl", "run_tool", "tool_args")
load(":providers.bzl", "ImageManifestInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _check(ctx, what, blobs, outputs):
    """Declares an action that fails unless the parts are of one image.

    Args:
      ctx: the rule's context.
      what: what is checked, for people.
      blobs: list of File, the layers that are checked too.
      outputs: dict from flag to File.
    """
    args = tool_args(ctx, "import")
    args.add("--manifest", ctx.file.manifest)
    args.add("--config", ctx.file.config)
    args.add_all(ctx.files.layers, before_each = "--layer")
    args.add_all(blobs, before_each = "--blob")
    for flag, output in outputs.items():
        args.add(flag, output)
    run_tool(
        ctx,
        args,
        inputs = [ctx.file.manifest, ctx.file.config] + ctx.files.layers + blobs,
        outputs = outputs.values(),
        mnemonic = "ImageImport",
        progress_message = "Checking {} of image %{{label}}".format(what),
    )

def _image_import_impl(ctx):
    manifest = ctx.file.manifest
    config = ctx.file.config
    groups = {"blobs": depset(ctx.files.blobs)}
    if not ctx.attr.verified:
        # Copies: what is made of them waits for the check.
        manifest = ctx.actions.declare_file("{}.import/manifest/{}".format(ctx.label.name, manifest.basename))
        config = ctx.actions.declare_file("{}.import/config/{}".format(ctx.label.name, config.basename))
        _check(ctx, "metadata", [], {"--config-out": config, "--manifest-out": manifest})

        # Layers are not copied. Bazel asks for this group whatever is built of the target.
        if ctx.files.blobs:
            checked = ctx.actions.declare_file(ctx.label.name + ".import/checked")
            _check(ctx, "layers", ctx.files.blobs, {"--checked": checked})
            groups["_validation"] = depset([checked])
    return [
        DefaultInfo(files = depset([manifest, config])),
        OutputGroupInfo(**groups),
        ImageManifestInfo(
            blobs = depset(ctx.files.blobs),
            config = config,
            layers = depset(ctx.files.layers, order = "postorder"),
            manifest = manifest,
            platform = ctx.file.platform,
        ),
    ]

image_import = rule(
    implementation = _image_import_impl,
    doc = """An image of which the metadata are there as files. `pull` makes such targets; other ways to get at a base image can do the same.

The parts are checked before anything is made of them: that they are what they are given as, and that they belong to one image. Of the layers that are there, every
byte is read once; a build that takes long over that can do without them, since pushes and loads can have them from where their metadata say.""",
    attrs = {
        "blobs": attr.label_list(
            doc = "The layers themselves, where they are there. Each has to be one of the manifest's.",
            allow_files = True,
        ),
        "config": attr.label(
            doc = "The OCI image config, byte for byte the one that the manifest names.",
            allow_single_file = True,
            mandatory = True,
        ),
        "layers": attr.label_list(
            doc = "The metadata of each layer, the lowest first: the JSON that a layer's `LayerInfo.metadata` is.",
            allow_files = True,
        ),
        "manifest": attr.label(
            doc = "The OCI or docker manifest of the image. That of an index is none.",
            allow_single_file = True,
            mandatory = True,
        ),
        "platform": attr.label(
            doc = """What an index says that lists the image, as JSON: `{"architecture": "arm", "os": "linux", "variant": "v6"}`. It holds where the config says nothing.""",
            allow_single_file = True,
        ),
        "verified": attr.bool(
            doc = "Whether somebody has compared the parts with each other, so that the build does not. `pull` has, with what the registry's digests say.",
        ),
    },
    provides = [ImageManifestInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
