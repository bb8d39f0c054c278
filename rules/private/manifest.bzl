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
    """Makes the action compare the base's platform, which only its config has, with the target platform."""
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
    doc = """An image for one platform, made from the metadata of its base and of its layers.

```starlark
image_manifest(
    name = "app",
    base = "@ubuntu",
    layers = [":app_layer"],
    entrypoint = ["/app/bin/server"],
)
```

What no attribute sets is inherited from the base, even fields that no attribute is for. Use `INHERIT_FROM_BASE`, from the same file, where an attribute needs a value. The default outputs are the manifest and the config, exactly as they are pushed. The output group
`digest` has a file with the image's digest, and `blobs` has the layers that the build made.""",
    attrs = {
        "annotations": attr.string_dict(doc = "Annotations of the manifest."),
        "annotations_file": attr.label(
            allow_single_file = True,
            doc = "More annotations, one `NAME=value` per line. `annotations` wins.",
        ),
        "base": attr.label(
            doc = """The base image: any target with `ImageManifestInfo`. Without a base, the image has only its own layers. A base for another platform is an error, unless
[`--@drayage//rules/settings:base_platform`](../settings.md#base_platform) says otherwise. A variant that the image's processor can run is not another platform.""",
            providers = [ImageManifestInfo],
        ),
        "cmd": attr.string_list(
            default = INHERITED_WORDS["cmd"],
            doc = """Arguments of the entrypoint, or the command if there is no entrypoint. Replaces the base's; `[]` removes it. `INHERIT_FROM_BASE` in it stands for the base's words:
`[INHERIT_FROM_BASE, "--verbose"]`.""",
        ),
        "config_fragment": attr.label(
            allow_single_file = True,
            doc = """A part of an OCI image config as JSON, for fields without an attribute: `{"config": {"Healthcheck": {"Test": ["CMD", "/app/health"]}}}`. It is merged into
the base's config as a JSON merge patch (RFC 7396): objects are merged, `null` removes a field, and anything else replaces the base's value. Attributes win. It must not set `rootfs` or `history`, which the
layers set, or `architecture`, `os` or `variant`, which the platform sets. It must be at most 4 MiB.""",
        ),
        "created": attr.string(doc = "Creation time of the image, as `2006-01-02T15:04:05Z`. The default is the epoch, so that the same sources give the same image."),
        "created_file": attr.label(
            allow_single_file = True,
            doc = "A file with the creation time, such as a stamped one. `created` wins.",
        ),
        "entrypoint": attr.string_list(
            default = INHERITED_WORDS["entrypoint"],
            doc = """The program that the image runs. Replaces the base's entrypoint and its `cmd`, as in a Dockerfile; `[]` removes both. `INHERIT_FROM_BASE` in it stands for the base's words, and keeps the base's
`cmd`: `["/sbin/tini", "--", INHERIT_FROM_BASE]`. To keep the base's `cmd` otherwise, set `cmd = [INHERIT_FROM_BASE]`.""",
        ),
        "env": attr.string_dict(doc = """Environment variables, added to the base's. They replace the base's variables of the same name. In a value, `${NAME}` stands for the
base's value: `{"PATH": "/app/bin:${PATH}"}`."""),
        "env_file": attr.label(
            allow_single_file = True,
            doc = "More environment variables, one `NAME=value` per line. `env` wins.",
        ),
        "exposed_ports": attr.string_list(doc = "Ports that the program listens on: `8080`, `8080/tcp`, `53/udp`. Added to the base's."),
        "labels": attr.string_dict(doc = "Labels of the config, added to the base's."),
        "labels_file": attr.label(
            allow_single_file = True,
            doc = "More labels, one `NAME=value` per line. `labels` wins.",
        ),
        "layers": attr.label_list(
            doc = "The layers on top of the base, the lowest first.",
            providers = [LayerInfo],
        ),
        "platform": attr.label(
            doc = "The platform that the image and everything in it is built for, instead of the build's: a `platform` target. For several platforms, use `image_index`.",
            providers = [platform_common.PlatformInfo],
        ),
        "stop_signal": attr.string(
            default = INHERIT_FROM_BASE,
            doc = "The signal that ends the program: `SIGTERM`. `\"\"` removes the base's.",
        ),
        "unset_env": attr.string_list(doc = """Names of the base's environment variables to remove; `*` matches any letters: `["DEBUG", "BUILD_*"]`. `env` is set after that, and `${NAME}`
in it still stands for the base's value."""),
        "unset_labels": attr.string_list(doc = "Names of the base's labels to remove; `*` matches any letters: `[\"org.opencontainers.image.*\"]`. `labels` are set after that."),
        "user": attr.string(
            default = INHERIT_FROM_BASE,
            doc = "User, or `user:group`, by name or number. `\"\"` removes the base's.",
        ),
        "volumes": attr.string_list(doc = "Folders that the program writes data to. Added to the base's."),
        "working_dir": attr.string(
            default = INHERIT_FROM_BASE,
            doc = "Working directory. `\"\"` removes the base's.",
        ),
        "_allowlist_function_transition": attr.label(default = "@bazel_tools//tools/allowlists/function_transition_allowlist"),
        "_base_platform": attr.label(default = "//rules/settings:base_platform"),
    } | PLATFORM_ATTRS | PUSH_SPECS_ATTRS,
    provides = [ImageManifestInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
