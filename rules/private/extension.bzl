"""The module extension that provides the tool, for the host and for other execution platforms."""

load(":tool_platform.bzl", "TOOL_PLATFORMS", "platform_of")
load(":tool_repository.bzl", "tool_repository")
load(":toolchains_repository.bzl", "toolchains_repository")

_from_source = tag_class(
    doc = "Builds `drayage` from source, with the host's Go, even if the release has a prebuilt one. Only the root module may use it.",
)

_prebuilt = tag_class(
    doc = "Uses an existing `drayage` for the host. Only the root module may use it.",
    attrs = {
        "file": attr.label(
            doc = "The executable, for the host's platform.",
            mandatory = True,
        ),
    },
)

def _root_tags(mctx):
    """Returns the root module's prebuilt file, or None, and whether it builds the tool from source."""
    for module in mctx.modules:
        if not module.is_root:
            continue
        files = [tag.file for tag in module.tags.prebuilt]
        if len(files) > 1:
            fail("drayage.prebuilt must be used only once, not for both {} and {}".format(files[0], files[1]))
        return (files or [None])[0], bool(module.tags.from_source)
    return None, False

def _attributes(lock, platform):
    """Returns the attributes of tool_repository for a platform."""
    file = lock["files"].get(platform)
    if file:
        return {
            "sha256": file["sha256"],
            "url": lock["url"].format(file = file["name"], version = lock["version"]),
        }
    if platform in TOOL_PLATFORMS:
        return {"platform": platform}
    return {}  # Go knows what the host is

def _drayage_impl(mctx):
    prebuilt, from_source = _root_tags(mctx)

    # Written by the release. In a checkout there is nothing in it.
    lock = json.decode(mctx.read(Label("//rules/private:prebuilt.lock.json")))
    if from_source:
        lock = {"files": {}}

    # One repository a platform: none is fetched before something runs there.
    host = platform_of(mctx.os.name, mctx.os.arch)
    others = [platform for platform in TOOL_PLATFORMS if platform != host]
    for platform in others:
        tool_repository(name = "drayage_" + platform, **_attributes(lock, platform))
    tool_repository(name = "drayage_host", **({"prebuilt": prebuilt} if prebuilt else _attributes(lock, host)))
    toolchains_repository(name = "drayage_toolchains", platforms = others)
    return mctx.extension_metadata(reproducible = True)

drayage = module_extension(
    implementation = _drayage_impl,
    arch_dependent = True,
    doc = """Provides the `drayage` tool.

A release downloads it for the host and for each platform that actions run on, and checks its hash. A checkout builds it with the host's Go, for other platforms
too. The root module can choose:

```starlark
drayage = use_extension("@drayage//rules:extensions.bzl", "drayage")
drayage.prebuilt(file = "//tools:drayage")
```""",
    os_dependent = True,
    tag_classes = {
        "from_source": _from_source,
        "prebuilt": _prebuilt,
    },
)
