"""A rule of somebody else's, which takes what it needs from Drayage's providers."""

load("@drayage//rules:providers.bzl", "ImageManifestInfo")

def _image_config_impl(ctx):
    return [DefaultInfo(files = depset([ctx.attr.image[ImageManifestInfo].config]))]

image_config = rule(
    implementation = _image_config_impl,
    doc = "The config of an image.",
    attrs = {"image": attr.label(
        doc = "The image.",
        mandatory = True,
        providers = [ImageManifestInfo],
    )},
)
