"""Push specs of an image without an image_push."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":gate.bzl", "GATE_DOC", "GATE_VALUES", "strictest_gate")
load(":spec.bzl", "content", "destination", "parse_destination", "write_spec")

PUSH_SPECS_ATTRS = {
    "push_gate": attr.string(doc = "The gate of `push_specs`. " + GATE_DOC, values = GATE_VALUES),
    "push_specs": attr.string_list(
        doc = """Destinations to push the image to without an `image_push`, each `HOST/REPOSITORY` or `HOST/REPOSITORY:TAG`. Building the image writes a
push spec for each repository, and the daemon that sees the build's events pushes it. Repository and tag may contain stamp variables: `ghcr.io/acme/app:git-{BUILD_SCM_REVISION}`.""",
    ),
    "_gate": attr.label(default = "//rules/settings:gate"),
    "_registry": attr.label(default = "//rules/settings:registry"),
}

def write_push_specs(ctx, images, index):
    """Declares the actions that write the push specs of an image.

    Args:
      ctx: the context of a rule that has PUSH_SPECS_ATTRS and the toolchain.
      images: list of ImageManifestInfo.
      index: File, the index over the images, or None.

    Returns:
      A list of File. Tags of one repository are in one spec.
    """
    tags = {}
    for address in ctx.attr.push_specs:
        registry, repository, tag = parse_destination(ctx, address, "push_specs", ctx.attr._registry[BuildSettingInfo].value)
        tags.setdefault((registry, repository), [])
        if tag:
            tags[(registry, repository)].append(tag)
    gate = strictest_gate([ctx.attr.push_gate, ctx.attr._gate[BuildSettingInfo].value])
    return [
        write_spec(ctx, "{}.{}".format(ctx.label.name, i + 1), content(images, index), destination(registry, repository, given, gate = gate))
        for i, ((registry, repository), given) in enumerate(tags.items())
    ]
