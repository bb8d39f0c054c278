"""The action that writes a push spec, for all rules that have one written."""

load(":providers.bzl", "ArtifactInfo", "ImageIndexInfo", "ImageManifestInfo")
load(":toolchain.bzl", "TOOLCHAIN_TYPE", "tool")

def image_of(target):
    """Tells what a target has to push.

    Args:
      target: a target with ImageManifestInfo or ImageIndexInfo.

    Returns:
      The list of ImageManifestInfo, and the index over them or None.
    """
    if ImageIndexInfo in target:
        return target[ImageIndexInfo].images, target[ImageIndexInfo].index
    return [target[ImageManifestInfo]], None

def write_referrers(ctx, artifacts, subject):
    """Declares the actions that write the manifests of artifacts about an image.

    Args:
      ctx: the context of a rule that has the toolchain.
      artifacts: list of targets with ArtifactInfo.
      subject: File, the manifest or index that they are about.

    Returns:
      A struct of the manifests, and of what is known of their files.
    """
    manifests = []
    for i, artifact in enumerate([a[ArtifactInfo] for a in artifacts]):
        manifest = ctx.actions.declare_file("{}.referrer{}.json".format(ctx.label.name, i + 1))
        manifests.append(manifest)
        args = ctx.actions.args()
        args.set_param_file_format("shell")
        args.use_param_file("@%s", use_always = False)
        args.add("referrer")
        args.add("--out", manifest)
        args.add("--subject", subject)
        args.add(artifact.type, format = "--artifact-type=%s")
        args.add_all(artifact.metadata, before_each = "--file")
        args.add_all(["{}={}".format(k, v) for k, v in artifact.annotations.items()], format_each = "--annotation=%s")
        ctx.actions.run(
            executable = tool(ctx),
            arguments = [args],
            inputs = [subject] + artifact.metadata,
            outputs = [manifest],
            mnemonic = "ImageReferrer",
            progress_message = "Writing artifact manifest %{label}",
            toolchain = TOOLCHAIN_TYPE,
        )
    return struct(
        manifests = manifests,
        metadata = [m for a in artifacts for m in a[ArtifactInfo].metadata],
    )

def _made_by(metadata):
    return str(metadata.owner)

def write_spec(ctx, name, images, index, registry, repository, tags, tag_file = None, referrers = None, uncached = None, suffix = ".pushspec.json", overwrite = "always"):
    """Declares the action that writes one push spec.

    Args:
      ctx: the context of a rule that has the toolchain.
      name: how the file is called, less the suffix.
      images: list of ImageManifestInfo.
      index: File, the index over the images, or None if there is one image alone.
      registry: host of the registry.
      repository: name of the repository.
      tags: list of tags.
      tag_file: File with more tags, or None.
      referrers: what write_referrers returned, or None.
      uncached: depset of string, `TAG=LABEL` of the layers that tags keep out of the remote cache, or None.
      suffix: the end of the file's name. The daemon pushes what ends as push specs do.
      overwrite: `always` or `never`, whether a tag that points to another image is written over.

    Returns:
      The push spec.
    """
    spec = ctx.actions.declare_file(name + suffix)
    inputs = [image.manifest for image in images] + [image.config for image in images]
    args = ctx.actions.args()
    args.set_param_file_format("shell")
    args.use_param_file("@%s", use_always = False)
    args.add("pushspec")
    args.add("--out", spec)
    args.add(str(ctx.label), format = "--target=%s")
    if index:
        args.add("--index", index)
        inputs.append(index)
    args.add_all([image.manifest for image in images], before_each = "--manifest", uniquify = False)
    args.add_all([image.config for image in images], before_each = "--config", uniquify = False)
    layers = depset(transitive = [image.layers for image in images])
    args.add_all(layers, before_each = "--layer")
    args.add_all(layers, format_each = "--made-by=%s", map_each = _made_by)
    if referrers:
        args.add_all(referrers.metadata, before_each = "--layer", uniquify = False)
        args.add_all(referrers.metadata, format_each = "--made-by=%s", map_each = _made_by)
        args.add_all(referrers.manifests, before_each = "--referrer")
        inputs += referrers.manifests + referrers.metadata
    if uncached:
        args.add_all(uncached, format_each = "--uncached=%s")
    args.add(registry, format = "--registry=%s")
    args.add(repository, format = "--repository=%s")
    args.add_all(tags, format_each = "--tag=%s", uniquify = True)
    if overwrite != "always":
        args.add(overwrite, format = "--overwrite=%s")
    if tag_file:
        args.add("--tag-file", tag_file)
        inputs.append(tag_file)

    ctx.actions.run(
        executable = tool(ctx),
        arguments = [args],
        inputs = depset(inputs, transitive = [layers]),
        outputs = [spec],
        mnemonic = "PushSpec",
        progress_message = "Writing push spec %{label}",
        toolchain = TOOLCHAIN_TYPE,
    )
    return spec

def destination_of(ctx, place, attribute, registry = ""):
    """Reads a place in a registry, as attributes have it.

    Args:
      ctx: the rule's context.
      place: `HOST/REPOSITORY`, or `HOST/REPOSITORY:TAG`.
      attribute: the attribute's name, for the message.
      registry: a host that takes the place of the one given, or "".

    Returns:
      The host, the repository, and the tag or "".
    """
    host, _, rest = place.partition("/")
    repository, _, tag = rest.partition(":")
    if not host or not repository:
        fail("{}: {} in {} is not of the form HOST/REPOSITORY[:TAG]".format(ctx.label, repr(place), attribute))
    return registry or host, repository, tag
