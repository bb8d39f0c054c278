"""What the rules tell one another: files of metadata, and never a layer's bytes."""

LayerInfo = provider(
    doc = "A layer of an image.",
    fields = {
        "blob": "File: the layer's compressed archive. Only those who load an image into something locally have it among their inputs.",
        "metadata": "File: JSON that describes the blob: an OCI descriptor, the diff id, and where the bytes can be had. A few hundred bytes.",
    },
)

ArtifactInfo = provider(
    doc = "What is said about an image: a bill of materials, say.",
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
        "blobs": """depset of File: the blobs of the layers that the build has. The layers of a base are among them only if it was pulled with
`layer_handling = "eager"`. For what runs an image or pushes it from here; no action that assembles images reads them.""",
        "config": "File: the OCI image config, the exact bytes that are pushed.",
        "layers": "depset of File, in the order of the image, the lowest first: the metadata of each layer, those of the base included.",
        "manifest": "File: the OCI image manifest, the exact bytes that are pushed.",
        "platform": "File or None: what an index says of the image's platform, as JSON, where it says more than the config. Who makes the provider may leave it out.",
    },
)

ImageIndexInfo = provider(
    doc = "An index over images for several platforms.",
    fields = {
        "images": "list of ImageManifestInfo: the images, in the order of the index.",
        "index": "File: the OCI image index, the exact bytes that are pushed.",
    },
)

PushSpecInfo = provider(
    doc = "What is to be pushed where.",
    fields = {
        "blobs": "depset of File: the blobs of the images, and of the artifacts about them, that the build has. No action reads them.",
        "runfiles": "runfiles: what `bazel run` needs to push the specs from here.",
        "specs": "depset of File: push specs, each of one image and one repository.",
    },
)
