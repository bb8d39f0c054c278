"""image_manifest: an image for one platform, assembled from metadata."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":action.bzl", "assignments", "run_tool", "tool_args")
load(":blobs.bzl", "made_here")
load(":inherit.bzl", "INHERITED_WORDS", "INHERIT_FROM_BASE", "add_inheritable")
load(":platform.bzl", "PLATFORM_ATTRS", "known_platform", "target_platform")
load(":providers.bzl", "ImageManifestInfo", "LayerInfo")
load(":spec_attrs.bzl", "PUSH_SPECS_ATTRS", "write_push_specs")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

_PLATFORMS = "//command_line_option:platforms"

def _for_platform_impl(settings, attr):
    return {_PLATFORMS: str(attr.platform) if attr.platform else settings[_PLATFORMS]}

_for_platform = transition(
    implementation = _for_platform_impl,
    inputs = [_PLATFORMS],
    outputs = [_PLATFORMS],
)

def _add_base_platform(ctx, args):
    """Has the action compare the base's platform, which nothing but its config says, with the target platform."""
    mismatch = ctx.attr._base_platform[BuildSettingInfo].value
    platform = known_platform(ctx)
    if mismatch == "ignore" or not platform:
        return
    args.add("--target-platform", platform)
    args.add(str(ctx.label), format = "--target=%s")
    args.add(str(ctx.attr.base.label), format = "--base=%s")
    args.add("--mismatch", mismatch)

def _image_manifest_impl(ctx):
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest.json")
    config = ctx.actions.declare_file(ctx.label.name + ".config.json")
    digest = ctx.actions.declare_file(ctx.label.name + ".digest")
    layers = [layer[LayerInfo].metadata for layer in ctx.attr.layers]
    below = []
    blobs_below = []
    inputs = list(layers)

    args = tool_args(ctx, "manifest")
    args.add("--manifest", manifest)
    args.add("--config", config)
    args.add("--digest", digest)
    if ctx.attr.base:
        base = ctx.attr.base[ImageManifestInfo]
        args.add("--base-manifest", base.manifest)
        args.add("--base-config", base.config)
        inputs += [base.manifest, base.config]
        if getattr(base, "platform", None):
            args.add("--base-platform", base.platform)
            inputs.append(base.platform)
        _add_base_platform(ctx, args)
        below = [base.layers]
        blobs_below = [base.blobs]
    else:
        args.add("--platform", target_platform(ctx))
    args.add_all(layers, before_each = "--layer")
    for flag, values in {
        "annotation": assignments(ctx.attr.annotations),
        "env": assignments(ctx.attr.env),
        "expose": ctx.attr.exposed_ports,
        "label": assignments(ctx.attr.labels),
        "unset-env": ctx.attr.unset_env,
        "unset-label": ctx.attr.unset_labels,
        "volume": ctx.attr.volumes,
    }.items():
        args.add_all(values, format_each = "--" + flag + "=%s")
    add_inheritable(ctx, args)
    if ctx.attr.created:
        args.add(ctx.attr.created, format = "--created=%s")
    for flag in ["annotations_file", "config_fragment", "created_file", "env_file", "labels_file"]:
        file = getattr(ctx.file, flag)
        if file:
            args.add("--" + flag.replace("_", "-"), file)
            inputs.append(file)

    run_tool(
        ctx,
        args,
        inputs = inputs,
        outputs = [manifest, config, digest],
        mnemonic = "ImageManifest",
        progress_message = "Assembling image %{label}",
    )
    blobs = depset([layer[LayerInfo].blob for layer in ctx.attr.layers], transitive = blobs_below)
    image = ImageManifestInfo(
        blobs = blobs,
        config = config,
        layers = depset(layers, transitive = below, order = "postorder"),
        manifest = manifest,
    )
    specs = write_push_specs(ctx, [image], None)
    return [
        DefaultInfo(files = depset([manifest, config] + specs)),
        OutputGroupInfo(blobs = made_here(blobs), digest = depset([digest]), push_spec = depset(specs)),
        image,
    ]

image_manifest = rule(
    implementation = _image_manifest_impl,
    cfg = _for_platform,
    doc = """An image for one platform, assembled from metadata alone: that of its base and that of its layers.

```starlark
image_manifest(
    name = "app",
    base = "@ubuntu",
    layers = [":app_layer"],
    entrypoint = ["/app/bin/server"],
)
```

What is not set here is as the base has it, also what this page has no word for. `INHERIT_FROM_BASE`, which the same file has, says so where a word is needed. The default outputs are the manifest and the config, as they will be pushed; the output group `digest` has a file with the
image's digest, and `blobs` the layers that the build made.""",
    attrs = {
        "annotations": attr.string_dict(doc = "Annotations of the manifest."),
        "annotations_file": attr.label(
            allow_single_file = True,
            doc = "More annotations, one `NAME=value` a line. `annotations` wins.",
        ),
        "base": attr.label(
            doc = """The image below: any target with `ImageManifestInfo`. None: the image holds its own layers only. A base for another platform than the image is built for is an error, or what
[`--@drayage//rules/settings:base_platform`](../settings.md#base_platform) makes of it; variants of a processor's architecture that it can run are no other platform.""",
            providers = [ImageManifestInfo],
        ),
        "cmd": attr.string_list(
            default = INHERITED_WORDS["cmd"],
            doc = """Arguments of the entrypoint, or what is run if there is none. Replaces the base's; `[]` takes it away. `INHERIT_FROM_BASE` in it stands for the words of the base:
`[INHERIT_FROM_BASE, "--verbose"]`.""",
        ),
        "config_fragment": attr.label(
            allow_single_file = True,
            doc = """A part of an OCI image config as JSON, for what has no attribute: `{"config": {"Healthcheck": {"Test": ["CMD", "/app/health"]}}}`. It is merged into
the base's config as RFC 7396 has it: objects are merged, `null` takes a field away, all else takes the place of what the base has, and attributes win. Any field will do, but for those that
the image's layers and its platform decide: `rootfs`, `history`, `architecture`, `os`, `variant`. It is at most 4 MiB.""",
        ),
        "created": attr.string(doc = "When the image was made, as `2006-01-02T15:04:05Z`. By default the epoch: the same sources are to give the same image."),
        "created_file": attr.label(
            allow_single_file = True,
            doc = "A file with that time, a stamped one say. `created` wins.",
        ),
        "entrypoint": attr.string_list(
            default = INHERITED_WORDS["entrypoint"],
            doc = """What is run. Replaces the base's, and the base's `cmd` with it, as in a Dockerfile; `[]` takes both away. `INHERIT_FROM_BASE` in it stands for the words of the base, whose `cmd` then
stays: `["/sbin/tini", "--", INHERIT_FROM_BASE]`. To keep the base's `cmd` all the same, say `cmd = [INHERIT_FROM_BASE]`.""",
        ),
        "env": attr.string_dict(doc = """Environment variables, added to the base's. A name that the base has gets the new value, in which `${NAME}` stands for what
the base has: `{"PATH": "/app/bin:${PATH}"}`."""),
        "env_file": attr.label(
            allow_single_file = True,
            doc = "More environment variables, one `NAME=value` a line. `env` wins.",
        ),
        "exposed_ports": attr.string_list(doc = "Ports that the program listens on: `8080`, `8080/tcp`, `53/udp`. Added to the base's."),
        "labels": attr.string_dict(doc = "Labels of the config, added to the base's."),
        "labels_file": attr.label(
            allow_single_file = True,
            doc = "More labels, one `NAME=value` a line. `labels` wins.",
        ),
        "layers": attr.label_list(
            doc = "The layers on top of the base, the lowest first.",
            providers = [LayerInfo],
        ),
        "platform": attr.label(
            doc = "The platform that the image and all that is in it are built for, whatever the build's is: a `platform` target. For several platforms there is `image_index`.",
            providers = [platform_common.PlatformInfo],
        ),
        "stop_signal": attr.string(
            default = INHERIT_FROM_BASE,
            doc = "The signal that ends the program: `SIGTERM`. `\"\"` takes the base's away.",
        ),
        "unset_env": attr.string_list(doc = """Names of environment variables of the base that the image does not have, in which `*` stands for any letters: `["DEBUG", "BUILD_*"]`. `env` is set after that, and `${NAME}`
in it is what the base had all the same."""),
        "unset_labels": attr.string_list(doc = "Names of labels of the base that the image does not have, in which `*` stands for any letters: `[\"org.opencontainers.image.*\"]`. `labels` are set after that."),
        "user": attr.string(
            default = INHERIT_FROM_BASE,
            doc = "User, or `user:group`, by name or number. `\"\"` takes the base's away.",
        ),
        "volumes": attr.string_list(doc = "Folders that the program writes its data to. Added to the base's."),
        "working_dir": attr.string(
            default = INHERIT_FROM_BASE,
            doc = "Working directory. `\"\"` takes the base's away.",
        ),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
        "_base_platform": attr.label(default = "//rules/settings:base_platform"),
    } | PLATFORM_ATTRS | PUSH_SPECS_ATTRS,
    provides = [ImageManifestInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
