"""image_artifact: an artifact about an image, which image_push pushes with it."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":action.bzl", "run_tool")
load(":providers.bzl", "ArtifactInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _image_artifact_impl(ctx):
    blobs = []
    metadata = []
    for i, (target, media_type) in enumerate(ctx.attr.files.items()):
        files = target[DefaultInfo].files.to_list()
        if len(files) != 1 or files[0].is_directory:
            fail("{}: {} in files must be exactly one file".format(ctx.label, target.label))
        blob = ctx.actions.declare_file("{}.{}.blob".format(ctx.label.name, i))
        described = ctx.actions.declare_file("{}.{}.blob.json".format(ctx.label.name, i))
        args = ctx.actions.args()
        args.add("blob")
        args.add("--file", files[0])
        args.add("--out", blob)
        args.add("--metadata", described)
        args.add("--media-type", media_type or ctx.attr.artifact_type)
        args.add("--digest-function", ctx.attr._digest_function[BuildSettingInfo].value)
        run_tool(
            ctx,
            args,
            inputs = files,
            outputs = [blob, described],
            mnemonic = "ImageArtifact",
            progress_message = "Describing artifact %{label}",
        )
        blobs.append(blob)
        metadata.append(described)
    return [
        DefaultInfo(files = depset(metadata)),
        OutputGroupInfo(blobs = depset(blobs)),
        ArtifactInfo(
            annotations = ctx.attr.annotations,
            blobs = blobs,
            metadata = metadata,
            type = ctx.attr.artifact_type,
        ),
    ]

image_artifact = rule(
    implementation = _image_artifact_impl,
    doc = """An artifact about an image: a bill of materials, a provenance, a signature's payload. An `image_push` that names it in `referrers` pushes it with the image, and
registries list it among the image's referrers.

```starlark
image_artifact(
    name = "sbom",
    artifact_type = "application/spdx+json",
    files = {"sbom.spdx.json": ""},
)

image_push(
    name = "push",
    image = ":app",
    referrers = [":sbom"],
    registry = "ghcr.io",
    repository = "my-project/app",
)
```

The default output is the metadata of the files; the output group `blobs` has copies of the files.""",
    attrs = {
        "annotations": attr.string_dict(doc = "Annotations of the artifact's manifest."),
        "artifact_type": attr.string(
            doc = "Media type of the artifact, such as `application/spdx+json` or `application/vnd.in-toto+json`. Clients look artifacts up by it.",
            mandatory = True,
        ),
        "files": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "The files, each with its media type. An empty type means the artifact's type.",
            mandatory = True,
        ),
        "_digest_function": attr.label(default = "//rules/settings:digest_function"),
    },
    provides = [ArtifactInfo],
    toolchains = [TOOLCHAIN_TYPE],
)
