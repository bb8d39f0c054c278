"""image_load: loads an image into the container runtime of this machine."""

load("@bazel_skylib//rules:common_settings.bzl", "BuildSettingInfo")
load(":blobs.bzl", "made_here")
load(":launcher.bzl", "LAUNCHER_ATTRS", "launcher")
load(":providers.bzl", "ImageIndexInfo", "ImageManifestInfo")
load(":spec.bzl", "destination", "image_of", "split_tag", "write_spec")
load(":toolchain.bzl", "TOOLCHAIN_TYPE")

def _parse_name(ctx, name):
    """Splits the name of an image, as docker does.

    Args:
      ctx: the rule's context.
      name: `app:dev`, `acme/app:dev` or `ghcr.io/acme/app:dev`, possibly without the tag.

    Returns:
      The registry, the repository and the tag.
    """
    head, slash, last = name.rpartition("/")
    last, tag = split_tag(last)
    repository = head + slash + last
    if not last or "@" in name:
        fail("{}: {} must be the name of an image, such as app:dev or ghcr.io/acme/app:dev".format(ctx.label, repr(name)))
    first, _, rest = repository.partition("/")
    if rest and "{" not in first and ("." in first or ":" in first or first == "localhost"):
        return first, rest, tag or "latest"
    if not rest:
        repository = "library/" + repository
    return "docker.io", repository, tag or "latest"

def _image_load_impl(ctx):
    names = ([ctx.attr.tag] if ctx.attr.tag else []) + ctx.attr.tag_list
    if not names:
        fail("{}: the image must have a name: set tag".format(ctx.label))
    repositories = {}
    for name in names:
        registry, repository, tag = _parse_name(ctx, name)
        repositories.setdefault((registry, repository), []).append(tag)

    image = image_of(ctx.attr.image)
    specs = [
        write_spec(
            ctx,
            ctx.label.name + (".{}".format(i + 1) if i else ""),
            image,
            destination(registry, repository, tags),
            suffix = ".loadspec.json",
        )
        for i, ((registry, repository), tags) in enumerate(repositories.items())
    ]

    strategy = ctx.attr.strategy or ctx.attr._strategy[BuildSettingInfo].value
    needed = ctx.runfiles(specs + [ctx.info_file, ctx.version_file])
    blobs = depset(transitive = [i.blobs for i in image.images])
    if strategy == "eager":
        needed = needed.merge(ctx.runfiles(transitive_files = blobs))
    else:
        strategy = "lazy"
    daemon = ctx.attr._daemon[BuildSettingInfo].value
    executable, runfiles = launcher(
        ctx,
        strategy,
        specs,
        needed,
        blobs,
        command = "load",
        options = [] if daemon == "auto" else ["--to=" + daemon],
    )
    return [
        DefaultInfo(
            executable = executable,
            files = depset(specs),
            runfiles = runfiles,
        ),
        OutputGroupInfo(blobs = made_here(blobs)),
    ]

image_load = rule(
    implementation = _image_load_impl,
    doc = """Loads an image into containerd, docker or podman on this machine.

```starlark
image_load(
    name = "load",
    image = ":app",
    tag = "app:dev",
)
```

`bazel run //app:load` loads the image, and prints its name and digest. It asks containerd which blobs it has, and sends only the others, from where the build left them, from the remote cache or from
the registry of the base. It does the same for a docker that keeps its images in containerd. To any other docker, and to podman, it streams the whole image with `docker load` or `podman load`. `bazel build` of
the target makes only metadata. The output group `blobs` has the layers that the build made. Of an index, the image for this machine is loaded.

Arguments after `--` go to `drayage load`: `bazel run //app:load -- --platform linux/arm64`, `-- --to podman`, `-- --tag app:other`.""",
    attrs = {
        "image": attr.label(
            doc = "The image, or the index.",
            mandatory = True,
            providers = [[ImageManifestInfo], [ImageIndexInfo]],
        ),
        "strategy": attr.string(
            doc = """Where `bazel run` finds the layers. `lazy`: where the build left them, in the remote cache or, for a base, in its registry. `eager`: on this machine, because the build downloads them.
The default is `eager` if `@drayage//rules/settings:push_strategy` is `eager`, and `lazy` otherwise.""",
            values = ["", "eager", "lazy"],
        ),
        "tag": attr.string(doc = """The image's name: `app:dev`, or `ghcr.io/acme/app:dev`. As with docker, a name without a host belongs to Docker Hub, and the default tag is `latest`.
It may contain stamp variables: `app:git-{BUILD_SCM_REVISION}`."""),
        "tag_list": attr.string_list(doc = "More names. (`tags` is another attribute, which every Bazel rule has.)"),
        "_daemon": attr.label(default = "//rules/settings:load_daemon"),
        "_strategy": attr.label(default = "//rules/settings:push_strategy"),
    } | LAUNCHER_ATTRS,
    executable = True,
    toolchains = [TOOLCHAIN_TYPE],
)
