"""Finds the layers of an image whose tags keep them out of the remote cache."""

load(":providers.bzl", "ArtifactInfo", "LayerInfo")

# https://bazel.build/reference/be/common-definitions#common.tags
_TAGS = [
    "local",
    "no-cache",
    "no-remote",
    "no-remote-cache",
    "no-remote-cache-upload",
]

UncachedInfo = provider(
    doc = "Targets whose tags keep their outputs out of the remote cache.",
    fields = {"found": "depset of string: `TAG=LABEL`."},
)

def _uncached_impl(target, ctx):
    found = []
    if LayerInfo in target or ArtifactInfo in target:
        found = ["{}={}".format(tag, target.label) for tag in _TAGS if tag in ctx.rule.attr.tags][:1]
    below = []
    for name in _ATTRS:
        value = getattr(ctx.rule.attr, name, None)
        for dep in value if type(value) == "list" else [value]:
            if type(dep) == "Target" and UncachedInfo in dep:
                below.append(dep[UncachedInfo].found)
    return [UncachedInfo(found = depset(found, transitive = below))]

_ATTRS = ["base", "layers", "manifests"]

uncached = aspect(
    implementation = _uncached_impl,
    attr_aspects = _ATTRS,
    doc = "Finds the layers of an image that tags keep out of the remote cache. The push spec lists them, so that the error for a missing layer can say so.",
    provides = [UncachedInfo],
)
