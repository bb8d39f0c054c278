"""image_push: the push spec of an image."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":providers.bzl", "ImageManifestInfo", "PushSpecInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE", "tool")

def _image_push_impl(ctx):
    image = ctx.attr.image[ImageManifestInfo]
    spec = ctx.actions.declare_file(ctx.label.name + ".pushspec.json")
    tags = ([ctx.attr.tag] if ctx.attr.tag else []) + ctx.attr.tag_list

    args = ctx.actions.args()
    args.set_param_file_format("multiline")
    args.use_param_file("@%s", use_always = False)
    args.add("pushspec")
    args.add("--out", spec)
    args.add(str(ctx.label), format = "--target=%s")
    args.add("--manifest", image.manifest)
    args.add("--config", image.config)
    args.add_all(image.layers, before_each = "--layer")
    args.add(ctx.attr._registry[BuildSettingInfo].value or ctx.attr.registry, format = "--registry=%s")
    args.add(ctx.attr.repository, format = "--repository=%s")
    args.add_all(tags, format_each = "--tag=%s", uniquify = True)

    ctx.actions.run(
        executable = tool(ctx),
        arguments = [args],
        inputs = depset([image.manifest, image.config], transitive = [image.layers]),
        outputs = [spec],
        mnemonic = "PushSpec",
        progress_message = "Writing push spec %{label}",
        toolchain = TOOLCHAIN_TYPE,
    )
    specs = depset([spec])
    return [
        DefaultInfo(files = specs),
        OutputGroupInfo(push_spec = specs),
        PushSpecInfo(specs = specs),
    ]

image_push = rule(
    implementation = _image_push_impl,
    doc = """Says that an image is to be pushed, where to and under which tags.

Building the target writes a push spec, a few kilobytes of JSON. The daemon finds it in the build event stream and pushes the image; nothing is pushed by the
machine that runs Bazel. The spec is the default output, and is in the output group `push_spec`.

```starlark
image_push(
    name = "push_app",
    image = ":app",
    registry = "ghcr.io",
    repository = "my-project/app",
    tag = "latest",
)
```

`repository` and tags may hold *stamp variables*: `{BUILD_SCM_REVISION}` stands for what the workspace status or `--build_metadata` says. They are filled in when the image is pushed, so that a
new commit does not run a cached action again.""",
    attrs = {
        "image": attr.label(
            doc = "The image.",
            mandatory = True,
            providers = [ImageManifestInfo],
        ),
        "registry": attr.string(
            doc = "Host of the registry, with its port if it has one. `--@drayage//rules/settings:registry` puts another in its place.",
            mandatory = True,
        ),
        "repository": attr.string(
            doc = "Name of the repository in the registry.",
            mandatory = True,
        ),
        "tag": attr.string(doc = "A tag. With no tag at all the image is pushed by digest."),
        "tag_list": attr.string_list(doc = "More tags. (`tags` is an attribute of every Bazel rule and means another thing.)"),
        "_registry": attr.label(default = "//rules/settings:registry"),
    },
    provides = [PushSpecInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
