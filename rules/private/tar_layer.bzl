"""layer_from_tar: a layer of an archive that is there."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":layer_action.bzl", "LAYER_ATTRS", "layer_providers", "write_layer")
load(":providers.bzl", "LayerInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _layer_from_tar_impl(ctx):
    args = ctx.actions.args()
    args.add("tar-layer")
    args.add("--archive", ctx.file.src)

    # The settings do not count: an archive is taken as it is unless its own target says otherwise. Where no
    # layer may be like it, it is written anew as other layers are.
    if not ctx.attr.compress:
        otherwise = ctx.attr._compress[BuildSettingInfo].value
        args.add("--otherwise", otherwise)
        if otherwise == "gzip" and (ctx.attr.estargz or ctx.attr._estargz[BuildSettingInfo].value) == "enabled":
            args.add("--otherwise-estargz")
    return layer_providers(*write_layer(ctx, args, depset([ctx.file.src]), compress = ctx.attr.compress))

layer_from_tar = rule(
    implementation = _layer_from_tar_impl,
    doc = """A layer of a tar archive that is there: of `rules_pkg`, say, or of a root file system that was downloaded.

```starlark
layer_from_tar(
    name = "rootfs",
    src = "@debian_rootfs//file",
)
```

Without `compress` the blob is the archive as it is, to the byte; with it the archive is compressed anew. An archive that is compressed with xz or bzip2 is always
compressed anew, since layers cannot be so: without `compress` as `@drayage//rules/settings:compress` says, which is `gzip`.

The archive is read to its end. What is no tar archive, is broken, or holds what container engines do not unpack, fails the build:
[what is taken, and what is not](../rules.md#archives). Names that begin with `.wh.` are kept: they delete from the layers below.""",
    attrs = {
        "src": attr.label(
            allow_single_file = True,
            doc = "The archive: plain, or compressed with gzip, zstd, xz or bzip2. What it is called does not matter.",
            mandatory = True,
        ),
    } | LAYER_ATTRS | {
        "compress": attr.string(
            doc = "`gzip`, `zstd` or `none`: the archive is written anew. By default it is kept as it is, to the byte, unless it is compressed with xz or bzip2.",
            values = ["", "gzip", "none", "zstd"],
        ),
        "estargz": attr.string(
            doc = "`enabled` writes the archive anew as a seekable gzip layer, for the stargz snapshotter. By default what `@drayage//rules/settings:estargz` says, which is `disabled`, where gzip compresses the archive anew anyway.",
            values = ["", "disabled", "enabled"],
        ),
        "level": attr.int(
            doc = "Level of the compression where the archive is written anew: 1 to 9 for gzip, 1 to 22 for zstd. 0 is the default, 6 for gzip and 1 for zstd.",
        ),
    },
    provides = [LayerInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
