"""image_import: an image of which the metadata are there as files."""

load(":providers.bzl", "ImageManifestInfo")

def _image_import_impl(ctx):
    return [
        DefaultInfo(files = depset([ctx.file.manifest, ctx.file.config])),
        OutputGroupInfo(blobs = depset(ctx.files.blobs)),
        ImageManifestInfo(
            blobs = depset(ctx.files.blobs),
            config = ctx.file.config,
            layers = depset(ctx.files.layers, order = "postorder"),
            manifest = ctx.file.manifest,
            platform = ctx.file.platform,
        ),
    ]

image_import = rule(
    implementation = _image_import_impl,
    doc = "An image of which the metadata are there as files. `pull` makes such targets; other ways to get at a base image can do the same.",
    attrs = {
        "blobs": attr.label_list(
            doc = "The layers themselves, where they are there.",
            allow_files = True,
        ),
        "config": attr.label(
            doc = "The OCI image config.",
            allow_single_file = True,
            mandatory = True,
        ),
        "layers": attr.label_list(
            doc = "The metadata of each layer, the lowest first: the JSON that a layer's `LayerInfo.metadata` is.",
            allow_files = True,
        ),
        "manifest": attr.label(
            doc = "The OCI or docker image manifest.",
            allow_single_file = True,
            mandatory = True,
        ),
        "platform": attr.label(
            doc = """What an index says that lists the image, as JSON: `{"architecture": "arm", "os": "linux", "variant": "v6"}`. It holds where the config says nothing.""",
            allow_single_file = True,
        ),
    },
    provides = [ImageManifestInfo],
)
