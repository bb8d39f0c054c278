"""pull: a repository with the metadata of a base image."""

load(":platform.bzl", "constraints_by_rank")

# Labels are in full, because the repository may belong to a module that has other
# names for drayage and platforms.
_BUILD = """\
load("{import_bzl}", "image_import")

package(default_visibility = ["//visibility:public"])
"""

_IMAGE = """
image_import(
    name = "{name}",
    blobs = {blobs},
    config = "{config}",
    layers = {layers},
    manifest = "{manifest}",
    platform = {platform},
    verified = True,
)
"""

_SETTING = """
config_setting(
    name = "is_{name}",
    constraint_values = {constraints},
    visibility = ["//visibility:private"],
)
"""

_ALIAS = """
alias(
    name = "{name}",
    actual = {actual},
)
"""

def _own_name(rctx):
    # Bazel 8.1 has original_name. Before, the name ends the canonical one, after
    # a + (Bazel 8) or a ~ (Bazel 7).
    name = getattr(rctx, "original_name", "")
    return name or rctx.name.replace("~", "+").split("+")[-1]

def _fetch(rctx):
    args = [
        rctx.path(rctx.attr._drayage),
        "pull",
        "--registry=" + rctx.attr.registry,
        "--repository=" + rctx.attr.repository,
        "--digest=" + rctx.attr.digest,
        "--tag=" + rctx.attr.tag,
    ]
    args += ["--mirror=" + mirror for mirror in rctx.attr.mirrors]
    args += ["--platform=" + platform for platform in rctx.attr.platforms]
    if rctx.attr.layer_handling == "eager":
        args.append("--layers")
        if rctx.attr.nondistributable_layers:
            args.append("--nondistributable")
    rctx.report_progress("Fetching metadata of {}/{}".format(rctx.attr.registry, rctx.attr.repository))
    result = rctx.execute(args, timeout = 3600 if rctx.attr.layer_handling == "eager" else 300)
    if result.return_code != 0:
        fail("@{}: {}".format(_own_name(rctx), result.stderr.removeprefix("drayage: ").strip()))
    return json.decode(result.stdout)

def _select(rctx, images):
    """The images as a select over the target platform, and the settings that it needs."""
    settings = ""
    branches = {}
    ranked = []
    for i, image in enumerate(images):
        constraints, rank = constraints_by_rank(image["os"], image["architecture"], image["variant"])
        if constraints:
            ranked.append((rank, i, constraints))

        # An image for any other platform has only a target of its own: select cannot choose it.

    taken = []
    for _, i, constraints in sorted(ranked):
        if constraints in taken:
            continue
        taken.append(constraints)
        name = images[i]["name"]
        settings += _SETTING.format(
            name = name,
            constraints = [str(Label(c)) for c in constraints],
        )
        branches[":is_" + name] = ":" + name
    if not branches:
        return settings, repr(":" + images[0]["name"])
    message = "{}/{} has no image for the target platform; it has images for {}".format(
        rctx.attr.registry,
        rctx.attr.repository,
        ", ".join([image["name"] for image in images]),
    )
    return settings, "select(\n        {},\n        no_match_error = {},\n    )".format(repr(branches), repr(message))

def _pull_impl(rctx):
    images = _fetch(rctx)
    build = _BUILD.format(import_bzl = str(Label("//rules:image.bzl")))
    for image in images:
        build += _IMAGE.format(
            name = image["name"],
            blobs = image["blobs"],
            config = image["config"],
            layers = image["layers"],
            manifest = image["manifest"],
            platform = repr(image["platform"] or None),
        )
    if len(images) == 1:
        actual = repr(":" + images[0]["name"])
    else:
        settings, actual = _select(rctx, images)
        build += settings
    for name in [_own_name(rctx), "image"]:
        if name not in [image["name"] for image in images]:
            build += _ALIAS.format(name = name, actual = actual)
    rctx.file("BUILD.bazel", build)

    # The digests decide the content. Bazel 8.3 and later need to be told.
    if hasattr(rctx, "repo_metadata"):
        return rctx.repo_metadata(reproducible = True)
    return None

PULL_ATTRS = {
    "digest": attr.string(
        doc = "Digest of the image's manifest or index. Without it the pull fails, and the error gives the tag's digest.",
    ),
    "layer_handling": attr.string(
        default = "shallow",
        doc = "`shallow`: the layers stay in the registry, and pushes and loads get them from there. `eager`: the pull fetches the layers too, for tests that run the image.",
        values = ["eager", "shallow"],
    ),
    "mirrors": attr.string_list(
        doc = "Hosts to ask before the registry, each with an optional path that goes before the repository. Layers are also taken from them first.",
    ),
    "nondistributable_layers": attr.bool(
        doc = """Whether `eager` also fetches nondistributable layers, from the registry or from the `urls` in their descriptors (of public hosts only). Pushes never send
[such layers](../haul.md#layers-that-are-not-to-be-distributed).""",
    ),
    "platforms": attr.string_list(
        doc = "The platforms of an index to pull: `os/architecture` or `os/architecture/variant`. The default is all.",
    ),
    "registry": attr.string(
        doc = "Host of the registry: `index.docker.io`.",
        mandatory = True,
    ),
    "repository": attr.string(
        doc = "Name of the repository: `library/ubuntu`.",
        mandatory = True,
    ),
    "tag": attr.string(
        doc = "The tag that had the digest, for readers. Only the digest counts.",
    ),
}

pull = repository_rule(
    implementation = _pull_impl,
    doc = """The metadata of a base image: manifest and config, some ten kilobytes. The layers stay in the registry.

```starlark
pull = use_repo_rule("@drayage//rules:pull.bzl", "pull")

pull(
    name = "ubuntu",
    registry = "index.docker.io",
    repository = "library/ubuntu",
    tag = "24.04",
    digest = "sha256:1e622c5f073b4f6bfad6632f2616c7f59ef256e96fe78bf6a595d1dc4376ac02",
)
```

`@ubuntu` is the image or, of an index, the image for the target platform. Each platform's image also has its own target: `@ubuntu//:linux_arm64_v8`.
What the index does not say about a platform comes from the image's config, and the other way round. For armv7, an image for v6 or v5 is used if there is none for v7.
Credentials come from docker's `config.json` and the credential helpers that it names.""",
    attrs = PULL_ATTRS | {
        "_drayage": attr.label(default = "@drayage_host//:drayage"),
    },
    environ = ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE"],
)
