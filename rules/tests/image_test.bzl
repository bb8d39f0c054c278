"""Tests of the rules that assemble images: metadata in, metadata out."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:image.bzl", "image_from_binary", "image_import", "image_index", "image_manifest")
load("//rules:providers.bzl", "ImageIndexInfo", "ImageManifestInfo")
load(":actions.bzl", "action_of", "flags", "names", "read_by")
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
    native.test_suite(
        name = name,
        tests = [
            ":binary_test",
            ":import_test",
            ":index_of_images_test",
            ":index_over_platforms_test",
            ":manifest_test",
        ],
    )
