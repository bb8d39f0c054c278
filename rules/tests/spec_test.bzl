"""Tests of what is pushed besides an image_push's image: artifacts, and images that say themselves where they go."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules:image.bzl", "image_artifact", "image_index", "image_manifest")
load("//rules:providers.bzl", "ArtifactInfo")
load(":actions.bzl", "action_of", "flags", "layers_here", "names", "pushed", "read_by", "refused", "spec_actions")

_GATE = str(Label("//rules/settings:gate"))
_REGISTRY = str(Label("//rules/settings:registry"))

def _artifact_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[ArtifactInfo]
    action = action_of(env, "ImageArtifact")
    asserts.equals(env, ["sbom.0.blob", "sbom.0.blob.json"], names(action.outputs))
    asserts.equals(env, ["one.txt"], read_by(action))
    asserts.equals(env, ["application/spdx+json"], flags(action, "--media-type"))
    asserts.equals(env, ["sbom.0.blob.json"], names(target[DefaultInfo].files))
    asserts.equals(env, ["sbom.0.blob"], names(target[OutputGroupInfo].blobs))
    asserts.equals(env, info.metadata, target[DefaultInfo].files.to_list())
    asserts.equals(env, info.blobs, target[OutputGroupInfo].blobs.to_list())
    return analysistest.end(env)

artifact_test = analysistest.make(_artifact_impl)

def _referrer_impl(ctx):
    env = analysistest.begin(ctx)
    referrer = action_of(env, "ImageReferrer")
    asserts.equals(env, [ctx.attr.subject], flags(referrer, "--subject"))
    asserts.equals(env, sorted([ctx.attr.subject, "sbom.0.blob.json"]), read_by(referrer))
    asserts.equals(env, ["tool=syft"], flags(referrer, "--annotation"))
    spec = spec_actions(env)[0]
    for name in [ctx.attr.subject, names(referrer.outputs)[0], "sbom.0.blob.json"]:
        asserts.true(env, name in read_by(spec), "the spec's action does not read " + name)
    asserts.false(env, "sbom.0.blob" in read_by(spec), "the spec's action reads a blob")
    asserts.equals(env, [], layers_here(env), "layers on this machine")
    return analysistest.end(env)

referrer_test = analysistest.make(
    _referrer_impl,
    attrs = {"subject": attr.string()},
)

def _own_specs_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    places = [
        (flags(action, "--registry")[0], flags(action, "--repository")[0], flags(action, "--tag"))
        for action in spec_actions(env)
    ]
    asserts.equals(env, [
        (ctx.attr.registry or "ghcr.io", "acme/app", ["one", "git-{BUILD_SCM_REVISION}"]),
        (ctx.attr.registry or "registry.example:5000", "app-{TEAM:-core}", []),
        (ctx.attr.registry or "registry.example:5000", "app", ["{BRANCH|slug:-main}"]),
    ], places)
    specs = [name for name in names(target[DefaultInfo].files) if name.endswith(".pushspec.json")]
    asserts.equals(env, names(target[OutputGroupInfo].push_spec), specs)
    asserts.equals(env, 3, len(specs))
    for action in spec_actions(env):
        asserts.equals(env, [ctx.attr.gate] if ctx.attr.gate else [], flags(action, "--gate"))
        asserts.equals(env, [], [name for name in read_by(action) if ".tar" in name], "blobs among the inputs")
    return analysistest.end(env)

own_specs_test = analysistest.make(
    _own_specs_impl,
    attrs = {"gate": attr.string(), "registry": attr.string()},
)

own_specs_elsewhere_test = analysistest.make(
    _own_specs_impl,
    attrs = {"gate": attr.string(default = "green"), "registry": attr.string(default = "staging.example")},
    config_settings = {_GATE: "green", _REGISTRY: "staging.example"},
)

def _artifacts():
    image_artifact(
        name = "sbom",
        annotations = {"tool": "syft"},
        artifact_type = "application/spdx+json",
        files = {":one": ""},
        tags = ["manual"],
    )
    artifact_test(
        name = "artifact_test",
        target_under_test = ":sbom",
    )
    for image, subject in {
        "image": "image.manifest.json",
        "index": "index.index.json",
    }.items():
        pushed(
            name = "push_{}_with_sbom".format(image),
            image = ":" + image,
            referrers = [":sbom"],
        )
        referrer_test(
            name = "{}_referrer_test".format(image),
            subject = subject,
            target_under_test = ":push_{}_with_sbom".format(image),
        )
    refused(
        image_artifact,
        name = "artifact_of_two",
        says = ":two in files must be exactly one file",
        artifact_type = "application/spdx+json",
        files = {":two": ""},
    )

def _own_specs():
    places = [
        "ghcr.io/acme/app:one",
        "registry.example:5000/app-{TEAM:-core}",
        "registry.example:5000/app:{BRANCH|slug:-main}",
        "ghcr.io/acme/app:git-{BUILD_SCM_REVISION}",
    ]
    image_manifest(
        name = "pushed_image",
        layers = [":plain"],
        push_specs = places,
        tags = ["manual"],
    )
    image_index(
        name = "pushed_index",
        manifests = [":image"],
        push_gate = "approved",
        push_specs = places,
        tags = ["manual"],
    )
    own_specs_test(
        name = "image_push_specs_test",
        target_under_test = ":pushed_image",
    )
    own_specs_test(
        name = "index_push_specs_test",
        gate = "approved",
        target_under_test = ":pushed_index",
    )
    own_specs_elsewhere_test(
        name = "push_specs_registry_test",
        target_under_test = ":pushed_image",
    )
    refused(
        image_manifest,
        name = "pushed_nowhere",
        says = "\"ghcr.io\" in push_specs must be HOST/REPOSITORY[:TAG]",
        push_specs = ["ghcr.io"],
    )

def spec_tests(name):
    """All tests of this file; they need the targets of image_tests.

    Args:
      name: the suite's.
    """
    _artifacts()
    _own_specs()
    native.test_suite(
        name = name,
        tests = [
            ":artifact_of_two_test",
            ":artifact_test",
            ":image_push_specs_test",
            ":image_referrer_test",
            ":index_push_specs_test",
            ":index_referrer_test",
            ":push_specs_registry_test",
            ":pushed_nowhere_test",
        ],
    )
