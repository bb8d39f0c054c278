"""The providers of the rules. Actions use their metadata files, and not the layers."""

LayerInfo = provider(
    doc = "A layer of an image.",
    fields = {
        "blob": "File: the layer's compressed archive. Only rules that need an image's bytes on this machine have it as an input.",
        "metadata": "File: JSON that describes the blob: an OCI descriptor, the diff ID, and where to get the bytes. A few hundred bytes.",
    },
)

ArtifactInfo = provider(
    doc = "An artifact about an image, such as a bill of materials.",
    fields = {
        "annotations": "dict of string to string: annotations of the artifact's manifest.",
        "blobs": "list of File: the artifact's files. No action that assembles manifests reads them.",
        "metadata": "list of File: JSON that describes each of the files, as `LayerInfo.metadata` does a layer.",
        "type": "string: the artifact's media type.",
    },
)

ImageManifestInfo = provider(
    doc = "An image for one platform.",
    fields = {
        "blobs": """depset of File: the blobs of the layers that the build has. They include the layers of a base only if it was pulled with
`layer_handling = "eager"`. They are for running an image or pushing it from this machine; no action that assembles images reads them.""",
        "config": "File: the OCI image config, the exact bytes that are pushed.",
        "layers": "depset of File, in the order of the image, the lowest first: the metadata of each layer, those of the base included.",
        "manifest": "File: the OCI image manifest, the exact bytes that are pushed.",
        "platform": "File or None: the image's platform in an index, as JSON, if the index says more than the config. Optional.",
    },
)

ImageIndexInfo = provider(
    doc = "An index of images for several platforms.",
    fields = {
        "images": "list of ImageManifestInfo: the images, in the order of the index.",
        "index": "File: the OCI image index, the exact bytes that are pushed.",
    },
)

PushSpecInfo = provider(
    doc = "Push specs, which say what to push where.",
    fields = {
        "blobs": "depset of File: the blobs of the images, and of the artifacts about them, that the build has. No action reads them.",
        "gate": "string: the strictest gate of the specs: `pushed`, `green` or `approved`. Optional; a spec has its gate in it.",
        "runfiles": "runfiles: what `bazel run` needs to push the specs from this machine.",
        "specs": "depset of File: push specs, each of one image and one repository.",
    },
)
