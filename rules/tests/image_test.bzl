"""Tests of the rules that assemble images: metadata in, metadata out."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:image.bzl", "INHERIT_FROM_BASE", "image_from_binary", "image_import", "image_index", "image_manifest")
load("//rules:providers.bzl", "ImageIndexInfo", "ImageManifestInfo")
load(":actions.bzl", "action_of", "flags", "names", "read_by", "refused")
load(":subjects.bzl", "files")

def _manifest_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[ImageManifestInfo]
    action = action_of(env, "ImageManifest")
    asserts.equals(env, ["image.config.json", "image.digest", "image.manifest.json"], names(action.outputs))
    asserts.equals(env, ["image.digest"], names(target[OutputGroupInfo].digest))
    asserts.equals(env, ["image.config.json", "image.manifest.json"], names(target[DefaultInfo].files))
    asserts.equals(env, info.blobs.to_list(), target[OutputGroupInfo].blobs.to_list())

    # The lowest layer first, those of the base below all others.
    asserts.equals(env, ["two.txt", "plain.layer.json", "everything.layer.json"], [f.basename for f in info.layers.to_list()])
    asserts.equals(env, ["everything.tar.gz", "one.txt", "plain.tar.gz"], names(info.blobs))

    asserts.equals(env, [
        "annotations.txt",
        "base.config.json",
        "base.manifest.json",
        "env.txt",
        "everything.layer.json",
        "labels.txt",
        "plain.layer.json",
    ], read_by(action))
    asserts.equals(env, [], flags(action, "--platform"), "the base's platform counts")
    for flag, values in {
        "--annotation": ["a=b=c"],
        "--annotations-file": ["annotations.txt"],
        "--cmd": ["--verbose", "--verbose"],
        "--created": ["2026-01-02T03:04:05Z"],
        "--entrypoint": ["/bin/app", "two words"],
        "--env": ["PATH=/app:${PATH}", "EMPTY="],
        "--env-file": ["env.txt"],
        "--expose": ["8080/tcp"],
        "--label": ["name=value"],
        "--labels-file": ["labels.txt"],
        "--layer": ["plain.layer.json", "everything.layer.json"],
        "--stop-signal": ["SIGINT"],
        "--user": ["65532:65532"],
        "--volume": ["/data"],
        "--working-dir": ["/app"],
    }.items():
        asserts.equals(env, values, flags(action, flag), flag)
    return analysistest.end(env)

manifest_test = analysistest.make(_manifest_impl)

def _inherits_impl(ctx):
    env = analysistest.begin(ctx)
    action = action_of(env, "ImageManifest")
    for flag in ["--cmd", "--entrypoint", "--stop-signal", "--unset", "--unset-env", "--unset-label", "--user", "--working-dir"]:
        asserts.equals(env, ctx.attr.flags.get(flag, []), flags(action, flag), flag)
    return analysistest.end(env)

inherits_test = analysistest.make(
    _inherits_impl,
    attrs = {"flags": attr.string_list_dict()},
)

def _inherits(name, flags = {}, rule = image_manifest, **kwargs):
    """Declares an image upon a base, and the test that its action has these flags."""
    rule(
        name = name,
        base = ":base",
        tags = ["manual"],
        **kwargs
    )
    inherits_test(
        name = name + "_test",
        flags = flags,
        target_under_test = ":" + name,
    )

def _listed_impl(ctx):
    env = analysistest.begin(ctx)
    index = action_of(env, "ImageIndex")
    asserts.equals(env, ["platform.json", "", ""], [value.rpartition("/")[2] for value in flags(index, "--platform")])
    asserts.true(env, "platform.json" in read_by(index))
    return analysistest.end(env)

listed_test = analysistest.make(_listed_impl)

def _upon_listed_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    asserts.equals(env, ["platform.json"], flags(action_of(env, "ImageManifest"), "--base-platform"))
    asserts.equals(env, None, getattr(target[ImageManifestInfo], "platform", None), "the config says it")
    return analysistest.end(env)

upon_listed_test = analysistest.make(_upon_listed_impl)

def _import_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[ImageManifestInfo]
    metadata = ["base.config.json", "base.manifest.json", "two.txt"]
    checks = {names(a.outputs)[0]: a for a in analysistest.target_actions(env)}
    asserts.equals(env, ["base.config.json", "checked"], sorted(checks), "one action checks the metadata, and one the layers")
    asserts.equals(env, metadata, read_by(checks["base.config.json"]), "what the metadata are made of reads no layer")
    asserts.equals(env, sorted(metadata + ["one.txt"]), read_by(checks["checked"]))
    asserts.equals(env, ["checked"], names(target[OutputGroupInfo]._validation))
    asserts.false(env, info.manifest.is_source, "the manifest is the one that was checked")
    asserts.equals(env, "base.manifest.json", info.manifest.basename)
    asserts.equals(env, "base.config.json", info.config.basename)
    asserts.equals(env, ["two.txt"], names(info.layers))
    asserts.equals(env, ["base.config.json", "base.manifest.json"], names(target[DefaultInfo].files))
    asserts.equals(env, ["one.txt"], names(target[OutputGroupInfo].blobs))
    return analysistest.end(env)

import_test = analysistest.make(_import_impl)

def _index_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[ImageIndexInfo]
    action = action_of(env, "ImageIndex")
    manifests = [image.manifest for image in info.images]
    asserts.equals(env, ctx.attr.count, len({m.path: None for m in manifests}), "different images")
    asserts.equals(env, [info.index] + target[OutputGroupInfo].digest.to_list(), action.outputs.to_list())
    asserts.equals(env, [info.index], target[DefaultInfo].files.to_list())
    asserts.equals(env, sorted(
        [m.basename for m in manifests] + [image.config.basename for image in info.images],
    ), read_by(action))
    asserts.equals(env, [m.basename for m in manifests], flags(action, "--manifest"))
    asserts.equals(env, ["a=b"], flags(action, "--annotation"))
    asserts.false(env, ".tar" in " ".join(action.argv), "the command line names a blob")
    return analysistest.end(env)

index_test = analysistest.make(
    _index_impl,
    attrs = {"count": attr.int()},
)

def _binary_impl(ctx):
    env = analysistest.begin(ctx)
    info = analysistest.target_under_test(env)[ImageManifestInfo]
    action = action_of(env, "ImageManifest")
    asserts.equals(env, ["everything.layer.json", "binary_image_layer.layer.json"], [f.basename for f in info.layers.to_list()])
    asserts.equals(env, ["/app/prog"], flags(action, "--entrypoint"))
    asserts.equals(env, ["nobody"], flags(action, "--user"))
    return analysistest.end(env)

binary_test = analysistest.make(_binary_impl)

def image_tests(name):
    """All tests of this file; they need the targets of layer_tests.

    Args:
      name: the suite's.
    """
    files(
        name = "metadata",
        outs = [
            "annotations.txt",
            "base.config.json",
            "base.manifest.json",
            "env.txt",
            "labels.txt",
            "platform.json",
            "tags.txt",
            "two.txt",
        ],
        tags = ["manual"],
    )
    image_import(
        name = "base",
        blobs = [":one"],
        config = "base.config.json",
        layers = ["two.txt"],
        manifest = "base.manifest.json",
        tags = ["manual"],
    )
    import_test(
        name = "import_test",
        target_under_test = ":base",
    )
    image_import(
        name = "listed_base",
        config = "base.config.json",
        manifest = "base.manifest.json",
        platform = "platform.json",
        tags = ["manual"],
    )
    image_manifest(
        name = "upon_listed",
        base = ":listed_base",
        tags = ["manual"],
    )
    upon_listed_test(
        name = "upon_listed_test",
        target_under_test = ":upon_listed",
    )
    image_index(
        name = "index_of_listed",
        manifests = [
            ":listed_base",
            ":upon_listed",
            ":base",
        ],
        tags = ["manual"],
    )
    listed_test(
        name = "listed_test",
        target_under_test = ":index_of_listed",
    )
    image_manifest(
        name = "image",
        annotations = {"a": "b=c"},
        annotations_file = "annotations.txt",
        base = ":base",
        cmd = ["--verbose", "--verbose"],
        created = "2026-01-02T03:04:05Z",
        entrypoint = ["/bin/app", "two words"],
        env = {
            "PATH": "/app:${PATH}",
            # Order is the target's.
            "EMPTY": "",  # buildifier: disable=unsorted-dict-items
        },
        env_file = "env.txt",
        exposed_ports = ["8080/tcp"],
        labels = {"name": "value"},
        labels_file = "labels.txt",
        layers = [":plain", ":everything"],
        stop_signal = "SIGINT",
        tags = ["manual"],
        user = "65532:65532",
        volumes = ["/data"],
        working_dir = "/app",
    )
    manifest_test(
        name = "manifest_test",
        target_under_test = ":image",
    )
    image_index(
        name = "index",
        annotations = {"a": "b"},
        manifests = [":empty_image", ":layered_image"],
        platforms = [":linux_aarch64", ":linux_armv7"],
        tags = ["manual"],
    )
    image_manifest(
        name = "layered_image",
        layers = [":plain"],
        tags = ["manual"],
    )
    index_test(
        name = "index_over_platforms_test",
        count = 4,
        target_under_test = ":index",
    )
    image_index(
        name = "index_of_images",
        annotations = {"a": "b"},
        manifests = [":image", ":empty_image"],
        tags = ["manual"],
    )
    index_test(
        name = "index_of_images_test",
        count = 2,
        target_under_test = ":index_of_images",
    )
    image_from_binary(
        name = "binary_image",
        binary = ":prog",
        layers = [":everything"],
        tags = ["manual"],
        user = "nobody",
    )
    binary_test(
        name = "binary_test",
        target_under_test = ":binary_image",
    )
    _inherits("says_nothing")
    _inherits(
        "says_so",
        entrypoint = [INHERIT_FROM_BASE],
        flags = {"--cmd": [INHERIT_FROM_BASE]},
        cmd = [INHERIT_FROM_BASE],
        stop_signal = INHERIT_FROM_BASE,
        user = INHERIT_FROM_BASE,
        working_dir = INHERIT_FROM_BASE,
    )
    _inherits(
        "goes_on",
        cmd = [INHERIT_FROM_BASE, "--all"],
        entrypoint = ["tini", INHERIT_FROM_BASE],
        flags = {"--cmd": [INHERIT_FROM_BASE, "--all"], "--entrypoint": ["tini", INHERIT_FROM_BASE]},
    )
    _inherits(
        "has_nothing",
        cmd = [],
        entrypoint = [],
        flags = {
            "--unset": ["Cmd", "Entrypoint", "StopSignal", "User", "WorkingDir"],
            "--unset-env": ["DEBUG", "A*"],
            "--unset-label": ["org.*"],
        },
        stop_signal = "",
        unset_env = ["DEBUG", "A*"],
        unset_labels = ["org.*"],
        user = "",
        working_dir = "",
    )
    _inherits(
        "binary_without_entrypoint",
        binary = ":prog",
        cmd = ["/app/prog"],
        entrypoint = [],
        flags = {"--cmd": ["/app/prog"], "--unset": ["Entrypoint"]},
        rule = image_from_binary,
    )
    refused(
        image_manifest,
        name = "goes_on_twice",
        says = "cmd must have INHERIT_FROM_BASE only once",
        cmd = [INHERIT_FROM_BASE, INHERIT_FROM_BASE],
    )
    native.test_suite(
        name = name,
        tests = [
            ":binary_test",
            ":binary_without_entrypoint_test",
            ":goes_on_test",
            ":goes_on_twice_test",
            ":has_nothing_test",
            ":says_nothing_test",
            ":says_so_test",
            ":upon_listed_test",
            ":import_test",
            ":index_of_images_test",
            ":index_over_platforms_test",
            ":listed_test",
            ":manifest_test",
        ],
    )
