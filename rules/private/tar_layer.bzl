"""layer_from_tar: a layer of an archive that is there."""

load(":layer_action.bzl", "LAYER_ATTRS", "layer_providers", "write_layer")
load(":providers.bzl", "LayerInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _layer_from_tar_impl(ctx):
    args = ctx.actions.args()
    args.add("tar-layer")
    args.add("--archive", ctx.file.src)

    # The setting does not count: an archive is taken as it is unless its own target says otherwise.
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

Without `compress` the blob is the archive as it is, to the byte; with it the archive is compressed anew.""",
    attrs = {
        "src": attr.label(
            allow_single_file = True,
            doc = "The archive: plain, or compressed with gzip or zstd.",
            mandatory = True,
        ),
    } | LAYER_ATTRS,
    provides = [LayerInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
