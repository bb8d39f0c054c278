"""Attributes, action and providers that all layer rules share."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":action.bzl", "assignments", "run_tool")
load(":providers.bzl", "LayerInfo")

_EXTENSIONS = {
    "gzip": ".tar.gz",
    "none": ".tar",
    "zstd": ".tar.zst",
}

LAYER_ATTRS = {
    "annotations": attr.string_dict(doc = "Annotations of the layer in the manifests of images."),
    "compress": attr.string(
        doc = "`gzip`, `zstd` or `none`. The default is `@drayage//rules/settings:compress`, which is `gzip`.",
        values = ["", "gzip", "none", "zstd"],
    ),
    "estargz": attr.string(
        doc = "`enabled` makes a gzip layer seekable, for the stargz snapshotter: containers start before the whole layer has arrived. The default is `@drayage//rules/settings:estargz`, which is `disabled`.",
        values = ["", "disabled", "enabled"],
    ),
    "level": attr.int(
        doc = "Compression level: 1 to 9 for gzip, 1 to 22 for zstd. 0 means 6 for gzip and 1 for zstd.",
    ),
    "_compress": attr.label(default = "//rules/settings:compress"),
    "_digest_function": attr.label(default = "//rules/settings:digest_function"),
    "_estargz": attr.label(default = "//rules/settings:estargz"),
}

def write_layer(ctx, args, inputs, compress = None):
    """Declares the action that writes a layer.

    Args:
      ctx: the context of a rule that has LAYER_ATTRS and the toolchain.
      args: Args that begin with the subcommand; the common flags are added.
      inputs: depset of File, the inputs of the action.
      compress: the compression, if the setting must not decide; "" lets the tool decide.

    Returns:
      The blob, and its metadata.
    """
    if compress == None:
        compress = ctx.attr.compress or ctx.attr._compress[BuildSettingInfo].value

    # The setting is for all layers that can be eStargz. The attribute is for this layer, so it must be possible.
    estargz = ctx.attr.estargz or (ctx.attr._estargz[BuildSettingInfo].value if compress == "gzip" else "disabled")
    if estargz == "enabled" and compress not in ["", "gzip"]:
        fail("{}: estargz must have compress = \"gzip\", but compress is {}".format(ctx.label, compress))

    blob = ctx.actions.declare_file(ctx.label.name + _EXTENSIONS.get(compress, ".blob"))
    metadata = ctx.actions.declare_file(ctx.label.name + ".layer.json")
    args.add("--out", blob)
    args.add("--metadata", metadata)
    if compress:
        args.add("--compress", compress)
    if ctx.attr.level:
        args.add("--level", ctx.attr.level)
    if estargz == "enabled":
        args.add("--estargz")
    args.add_all(assignments(ctx.attr.annotations), format_each = "--annotation=%s")
    args.add("--digest-function", ctx.attr._digest_function[BuildSettingInfo].value)
    run_tool(
        ctx,
        args,
        inputs = inputs,
        outputs = [blob, metadata],
        mnemonic = "ImageLayer",
        progress_message = "Writing image layer %{label}",
    )
    return blob, metadata

def layer_providers(blob, metadata):
    """The providers of a layer.

    Args:
      blob: File, the layer.
      metadata: File, the metadata of the layer.

    Returns:
      A list of providers.
    """
    return [
        # The metadata and not the blob, so that a build of a layer under
        # --remote_download_toplevel does not download the blob.
        DefaultInfo(files = depset([metadata])),
        OutputGroupInfo(blob = depset([blob])),
        LayerInfo(blob = blob, metadata = metadata),
    ]
