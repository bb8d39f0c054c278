"""image_index: images for several platforms under one name."""

load(":action.bzl", "assignments", "run_tool", "tool_args")
load(":blobs.bzl", "made_here")
load(":providers.bzl", "ImageIndexInfo", "ImageManifestInfo")
load(":spec_attrs.bzl", "PUSH_SPECS_ATTRS", "write_push_specs")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

_PLATFORMS = "//command_line_option:platforms"

def _over_platforms_impl(settings, attr):
    if not attr.platforms:
        return {"": {_PLATFORMS: settings[_PLATFORMS]}}

    # By number: the rule sees another label, if one of these is an alias.
    return {str(i): {_PLATFORMS: str(platform)} for i, platform in enumerate(attr.platforms)}

_over_platforms = transition(
    implementation = _over_platforms_impl,
    inputs = [_PLATFORMS],
    outputs = [_PLATFORMS],
)

def _image_index_impl(ctx):
    split = ctx.split_attr.manifests
    images = []
    for key in ([str(i) for i in range(len(ctx.attr.platforms))] or [""]):
        # A split of one branch without a change has the key None.
        images += [target[ImageManifestInfo] for target in split.get(key, split.get(None))]

    index = ctx.actions.declare_file(ctx.label.name + ".index.json")
    digest = ctx.actions.declare_file(ctx.label.name + ".digest")
    args = tool_args(ctx, "index")
    args.add("--out", index)
    args.add("--digest", digest)
    args.add_all([image.manifest for image in images], before_each = "--manifest", uniquify = False)
    args.add_all([image.config for image in images], before_each = "--config", uniquify = False)
    platforms = [getattr(image, "platform", None) for image in images]
    for platform in platforms if any(platforms) else []:
        args.add(platform or "", format = "--platform=%s")
    args.add_all(assignments(ctx.attr.annotations), format_each = "--annotation=%s")
    if ctx.file.annotations_file:
        args.add("--annotations-file", ctx.file.annotations_file)
    run_tool(
        ctx,
        args,
        inputs = [image.manifest for image in images] + [image.config for image in images] + [p for p in platforms if p] + ctx.files.annotations_file,
        outputs = [index, digest],
        mnemonic = "ImageIndex",
        progress_message = "Assembling image index %{label}",
    )
    specs = write_push_specs(ctx, images, index)
    return [
        DefaultInfo(files = depset([index] + specs)),
        OutputGroupInfo(
            blobs = made_here(depset(transitive = [image.blobs for image in images])),
            digest = depset([digest]),
            push_spec = depset(specs),
        ),
        ImageIndexInfo(images = images, index = index),
    ]

image_index = rule(
    implementation = _image_index_impl,
    doc = """Images for several platforms under one name.

```starlark
image_index(
    name = "app",
    manifests = [":app_image"],
    platforms = [
        "//platforms:linux_amd64",
        "//platforms:linux_arm64",
    ],
)
```

With `platforms`, each image is built for each of them. Without, the images are used as they are. The platform of an image comes from its config or, if the config has
none, from the index of a pulled image.

The default output is the index, exactly as it is pushed. The output group `digest` has a file with its digest, and `blobs` has the layers that the build made.""",
    attrs = {
        "annotations": attr.string_dict(doc = "Annotations of the index."),
        "annotations_file": attr.label(
            allow_single_file = True,
            doc = "More annotations, one `NAME=value` per line. `annotations` wins.",
        ),
        "manifests": attr.label_list(
            cfg = _over_platforms,
            doc = "The images.",
            mandatory = True,
            providers = [ImageManifestInfo],
        ),
        "platforms": attr.label_list(
            doc = "The platforms to build the images for, as `platform` targets.",
            providers = [platform_common.PlatformInfo],
        ),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
    } | PUSH_SPECS_ATTRS,
    provides = [ImageIndexInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
