"""What the rules tell one another: files of metadata, and never a layer's bytes."""

LayerInfo = provider(
    doc = "A layer of an image.",
    fields = {
        "blob": "File: the layer's compressed archive. Only those who load an image into something locally have it among their inputs.",
        "metadata": "File: JSON that describes the blob: an OCI descriptor, the diff id, and where the bytes can be had. A few hundred bytes.",
    },
)

ImageManifestInfo = provider(
    doc = "An image for one platform.",
    fields = {
        "manifest": "File: the OCI image manifest, the exact bytes that are pushed.",
        "config": "File: the OCI image config, the exact bytes that are pushed.",
        "layers": "depset of File, in the order of the image, the lowest first: the metadata of each layer, those of the base included.",
    },
)

PushSpecInfo = provider(
    doc = "What is to be pushed where.",
    fields = {
        "specs": "depset of File: push specs, each of one image and one repository.",
    },
)
