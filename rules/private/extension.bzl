"""The module extension that makes the repository of the toolchain."""

load(":tool_repository.bzl", "tool_repository")

_prebuilt = tag_class(
    doc = "A `drayage` that is there already, in the place of one built from source. Only the root module's counts.",
    attrs = {
        "file": attr.label(
            doc = "The executable, for the host's platform.",
            mandatory = True,
        ),
    },
)

def _drayage_impl(mctx):
    prebuilt = None
    for module in mctx.modules:
        for tag in module.tags.prebuilt:
            if not module.is_root:
                continue
            if prebuilt:
                fail("drayage.prebuilt is there twice, for {} and {}: one file is enough".format(prebuilt, tag.file))
            prebuilt = tag.file
    tool_repository(name = "drayage_toolchains", prebuilt = prebuilt)
    return mctx.extension_metadata(reproducible = True)

drayage = module_extension(
    implementation = _drayage_impl,
    doc = "Brings the `drayage` tool: builds it with the host's Go, or takes a prebuilt file.",
    tag_classes = {"prebuilt": _prebuilt},
)
