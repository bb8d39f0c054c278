"""image_manifest: an image for one platform, assembled from metadata."""

load(":platform.bzl", "PLATFORM_ATTRS", "target_platform")
load(":providers.bzl", "ImageManifestInfo", "LayerInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE", "tool")

def _image_manifest_impl(ctx):
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest.json")
    config = ctx.actions.declare_file(ctx.label.name + ".config.json")
    layers = [layer[LayerInfo].metadata for layer in ctx.attr.layers]
    below = []
    inputs = list(layers)

    args = ctx.actions.args()
    args.set_param_file_format("multiline")
    args.use_param_file("@%s", use_always = False)
    args.add("manifest")
    args.add("--manifest", manifest)
    args.add("--config", config)
    if ctx.attr.base:
        base = ctx.attr.base[ImageManifestInfo]
        args.add("--base-manifest", base.manifest)
        args.add("--base-config", base.config)
        inputs += [base.manifest, base.config]
        below = [base.layers]
    else:
        args.add("--platform", target_platform(ctx))
    args.add_all(layers, before_each = "--layer")
    args.add_all(ctx.attr.entrypoint, format_each = "--entrypoint=%s")
    args.add_all(ctx.attr.cmd, format_each = "--cmd=%s")
    for flag, values in [("env", ctx.attr.env), ("label", ctx.attr.labels), ("annotation", ctx.attr.annotations)]:
        args.add_all(["{}={}".format(k, v) for k, v in values.items()], format_each = "--" + flag + "=%s")
    if ctx.attr.user:
        args.add(ctx.attr.user, format = "--user=%s")
    if ctx.attr.working_dir:
        args.add(ctx.attr.working_dir, format = "--working-dir=%s")

    ctx.actions.run(
        executable = tool(ctx),
        arguments = [args],
        inputs = inputs,
        outputs = [manifest, config],
        mnemonic = "ImageManifest",
        progress_message = "Assembling image %{label}",
        toolchain = TOOLCHAIN_TYPE,
    )
    return [
        DefaultInfo(files = depset([manifest, config])),
        ImageManifestInfo(
            manifest = manifest,
            config = config,
            layers = depset(layers, transitive = below, order = "postorder"),
        ),
    ]

image_manifest = rule(
    implementation = _image_manifest_impl,
    doc = """An image for one platform, assembled from metadata alone: that of its base and that of its layers.

```starlark
image_manifest(
    name = "app",
    base = "@ubuntu",
    layers = [":app_layer"],
    entrypoint = ["/app/bin/server"],
)
```

What is not set here is as the base has it. The default outputs are the manifest and the config, as they will be pushed.""",
    attrs = {
        "base": attr.label(
            doc = "The image below: any target with `ImageManifestInfo`. None: the image holds its own layers only.",
            providers = [ImageManifestInfo],
        ),
        "layers": attr.label_list(
            doc = "The layers on top of the base, the lowest first.",
            providers = [LayerInfo],
        ),
        "entrypoint": attr.string_list(doc = "What is run. Replaces the base's, and the base's `cmd` with it."),
        "cmd": attr.string_list(doc = "Arguments of the entrypoint, or what is run if there is none. Replaces the base's."),
        "env": attr.string_dict(doc = "Environment variables, added to the base's. A name that the base has gets the new value."),
        "labels": attr.string_dict(doc = "Labels of the config, added to the base's."),
        "annotations": attr.string_dict(doc = "Annotations of the manifest."),
        "user": attr.string(doc = "User, or `user:group`, by name or number."),
        "working_dir": attr.string(doc = "Working directory."),
    } | PLATFORM_ATTRS,
    provides = [ImageManifestInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
