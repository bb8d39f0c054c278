"""layer_from_tar: a layer from an existing archive."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":layer_action.bzl", "LAYER_ATTRS", "layer_providers", "write_layer")
load(":providers.bzl", "LayerInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _layer_from_tar_impl(ctx):
    args = ctx.actions.args()
    args.add("tar-layer")
    args.add("--archive", ctx.file.src)

    # An archive is kept as it is unless its own target says otherwise, so the settings do not count. An archive
    # that cannot be a layer is compressed anew, and then the settings count.
    if not ctx.attr.compress:
        otherwise = ctx.attr._compress[BuildSettingInfo].value
        args.add("--otherwise", otherwise)
        if otherwise == "gzip" and (ctx.attr.estargz or ctx.attr._estargz[BuildSettingInfo].value) == "enabled":
            args.add("--otherwise-estargz")
    return layer_providers(*write_layer(ctx, args, depset([ctx.file.src]), compress = ctx.attr.compress))

layer_from_tar = rule(
    implementation = _layer_from_tar_impl,
    doc = """A layer from a tar archive, such as one of `rules_pkg` or a downloaded root file system.

```starlark
layer_from_tar(
    name = "rootfs",
    src = "@debian_rootfs//file",
)
```

Without `compress`, the blob is the archive itself, byte for byte. With it, the archive is compressed anew. Layers cannot be compressed with xz or bzip2, so such an
archive is always compressed anew; without `compress`, as `@drayage//rules/settings:compress` says, which is `gzip`.

The whole archive is read. The build fails if it is not a tar archive, if it is broken, or if container engines would not unpack it:
[what is accepted, and what is not](../rules.md#archives). Names that begin with `.wh.` are kept: they delete from the layers below.""",
    attrs = {
        "src": attr.label(
            allow_single_file = True,
            doc = "The archive, plain or compressed with gzip, zstd, xz or bzip2. Its name does not matter.",
            mandatory = True,
        ),
    } | LAYER_ATTRS | {
        "compress": attr.string(
            doc = "`gzip`, `zstd` or `none` writes the archive anew. By default it is kept as it is, byte for byte, unless it is compressed with xz or bzip2.",
            values = ["", "gzip", "none", "zstd"],
        ),
        "estargz": attr.string(
            doc = "`enabled` writes the archive anew as a seekable gzip layer, for the stargz snapshotter. If gzip compresses the archive anew anyway, the default is `@drayage//rules/settings:estargz`, which is `disabled`.",
            values = ["", "disabled", "enabled"],
        ),
        "level": attr.int(
            doc = "Compression level if the archive is written anew: 1 to 9 for gzip, 1 to 22 for zstd. 0 means 6 for gzip and 1 for zstd.",
        ),
    },
    provides = [LayerInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
