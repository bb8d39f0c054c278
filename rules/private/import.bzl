"""image_import: an image from files with its metadata."""

load(":action.bzl", "run_tool", "tool_args")
load(":providers.bzl", "ImageManifestInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _check(ctx, what, blobs, outputs):
    """Declares an action that fails unless the files belong to one image.

    Args:
      ctx: the rule's context.
      what: the files that are checked, for the progress message.
      blobs: list of File, layers to check too.
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
    doc = """An image from files with its metadata. `pull` makes such targets, and so can other ways to get a base image.

The build checks the files before it uses them: that each is what it is given as, and that all belong to one image. It reads every byte of the layers in `blobs` once.
Leave them out if that takes too long: pushes and loads can get them from where their metadata say.""",
    attrs = {
        "blobs": attr.label_list(
            doc = "The layers themselves, if there are files of them. Each must be a layer of the manifest.",
            allow_files = True,
        ),
        "config": attr.label(
            doc = "The OCI image config, exactly the one that the manifest names.",
            allow_single_file = True,
            mandatory = True,
        ),
        "layers": attr.label_list(
            doc = "The metadata of each layer, the lowest first: the JSON that a layer's `LayerInfo.metadata` is.",
            allow_files = True,
        ),
        "manifest": attr.label(
            doc = "The OCI or docker manifest of the image, not of an index.",
            allow_single_file = True,
            mandatory = True,
        ),
        "platform": attr.label(
            doc = """The platform that an index gives for the image, as JSON: `{"architecture": "arm", "os": "linux", "variant": "v6"}`. It is used where the config gives none.""",
            allow_single_file = True,
        ),
        "verified": attr.bool(
            doc = "Whether the files are already checked, so that the build does not check them. `pull` has checked them against the registry's digests.",
        ),
    },
    provides = [ImageManifestInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
