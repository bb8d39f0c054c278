"""The action that writes a push spec, for all rules that need one."""

load(":action.bzl", "assignments", "run_tool", "tool_args")
load(":providers.bzl", "ArtifactInfo", "ImageIndexInfo", "ImageManifestInfo")

def image_of(target):
    """Returns the content of a push of a target.

    Args:
      target: a target with ImageManifestInfo or ImageIndexInfo.

    Returns:
      What content returns, without referrers.
    """
    if ImageIndexInfo in target:
        return content(target[ImageIndexInfo].images, target[ImageIndexInfo].index)
    return content([target[ImageManifestInfo]])

def content(images, index = None, referrers = None, uncached = None):
    """Describes the content of a push spec.

    Args:
      images: list of ImageManifestInfo.
      index: File, the index of the images, or None for an image without an index.
      referrers: what write_referrers returned, or None.
      uncached: depset of string, `TAG=LABEL` of the layers that tags keep out of the remote cache, or None.

    Returns:
      A struct of that.
    """
    return struct(images = images, index = index, referrers = referrers, uncached = uncached)

def destination(registry, repository, tags, tag_file = None, overwrite = "always", gate = "pushed"):
    """Describes the destination of a push spec.

    Args:
      registry: host of the registry.
      repository: name of the repository.
      tags: list of tags.
      tag_file: File with more tags, or None.
      overwrite: `always` or `never`: whether to overwrite a tag that points to another image.
      gate: `pushed`, `green` or `approved`: when the tags move.

    Returns:
      A struct of that.
    """
    return struct(gate = gate, overwrite = overwrite, registry = registry, repository = repository, tag_file = tag_file, tags = tags)

def write_referrers(ctx, artifacts, subject):
    """Declares the actions that write the manifests of artifacts about an image.

    Args:
      ctx: the context of a rule that has the toolchain.
      artifacts: list of targets with ArtifactInfo.
      subject: File, the manifest or index that the artifacts are about.

    Returns:
      A struct of the manifests, and of the metadata of their files.
    """
    manifests = []
    for i, artifact in enumerate([a[ArtifactInfo] for a in artifacts]):
        manifest = ctx.actions.declare_file("{}.referrer{}.json".format(ctx.label.name, i + 1))
        manifests.append(manifest)
        args = tool_args(ctx, "referrer")
        args.add("--out", manifest)
        args.add("--subject", subject)
        args.add(artifact.type, format = "--artifact-type=%s")
        args.add_all(artifact.metadata, before_each = "--file")
        args.add_all(assignments(artifact.annotations), format_each = "--annotation=%s")
        run_tool(
            ctx,
            args,
            inputs = [subject] + artifact.metadata,
            outputs = [manifest],
            mnemonic = "ImageReferrer",
            progress_message = "Writing artifact manifest %{label}",
        )
    return struct(
        manifests = manifests,
        metadata = [m for a in artifacts for m in a[ArtifactInfo].metadata],
    )

def _made_by(metadata):
    return str(metadata.owner)

def write_spec(ctx, name, image, to, suffix = ".pushspec.json"):
    """Declares the action that writes one push spec.

    Args:
      ctx: the context of a rule that has the toolchain.
      name: the name of the file, without the suffix.
      image: what content returned.
      to: what destination returned.
      suffix: the end of the file's name. The daemon pushes only files with the suffix of push specs.

    Returns:
      The push spec.
    """
    spec = ctx.actions.declare_file(name + suffix)
    manifests = [i.manifest for i in image.images]
    configs = [i.config for i in image.images]
    inputs = manifests + configs
    args = tool_args(ctx, "pushspec")
    args.add("--out", spec)
    args.add(str(ctx.label), format = "--target=%s")
    if image.index:
        args.add("--index", image.index)
        inputs.append(image.index)
    args.add_all(manifests, before_each = "--manifest", uniquify = False)
    args.add_all(configs, before_each = "--config", uniquify = False)
    layers = depset(transitive = [i.layers for i in image.images])
    args.add_all(layers, before_each = "--layer")
    args.add_all(layers, format_each = "--made-by=%s", map_each = _made_by)
    if image.referrers:
        args.add_all(image.referrers.metadata, before_each = "--layer", uniquify = False)
        args.add_all(image.referrers.metadata, format_each = "--made-by=%s", map_each = _made_by)
        args.add_all(image.referrers.manifests, before_each = "--referrer")
        inputs += image.referrers.manifests + image.referrers.metadata
    if image.uncached:
        args.add_all(image.uncached, format_each = "--uncached=%s")
    args.add(to.registry, format = "--registry=%s")
    args.add(to.repository, format = "--repository=%s")
    args.add_all(to.tags, format_each = "--tag=%s", uniquify = True)
    if to.overwrite != "always":
        args.add(to.overwrite, format = "--overwrite=%s")
    if to.gate != "pushed":
        args.add(to.gate, format = "--gate=%s")
    if to.tag_file:
        args.add("--tag-file", to.tag_file)
        inputs.append(to.tag_file)

    run_tool(
        ctx,
        args,
        inputs = depset(inputs, transitive = [layers]),
        outputs = [spec],
        mnemonic = "PushSpec",
        progress_message = "Writing push spec %{label}",
    )
    return spec

def split_tag(text):
    """Splits off a tag. A colon in braces is part of a stamp variable.

    Args:
      text: `app:latest`, `app-{BRANCH:-main}:git-{BUILD_SCM_REVISION}`.

    Returns:
      What is before the tag, and the tag or "".
    """
    open = 0
    for i, letter in enumerate(text.elems()):
        if letter == "{":
            open += 1
        elif letter == "}":
            open -= 1
        elif letter == ":" and open <= 0:
            return text[:i], text[i + 1:]
    return text, ""

def parse_destination(ctx, address, attribute, registry = ""):
    """Parses a destination in an attribute.

    Args:
      ctx: the rule's context.
      address: `HOST/REPOSITORY`, or `HOST/REPOSITORY:TAG`.
      attribute: the attribute's name, for the error.
      registry: a host to push to instead, or "".

    Returns:
      The host, the repository, and the tag or "".
    """
    host, _, rest = address.partition("/")
    repository, tag = split_tag(rest)
    if not host or not repository:
        fail("{}: {} in {} must be HOST/REPOSITORY[:TAG]".format(ctx.label, repr(address), attribute))
    return registry or host, repository, tag
