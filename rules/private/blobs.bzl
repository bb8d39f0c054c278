"""The output group with the layers of an image, which lets Bazel upload them."""

def made_here(blobs):
    """Those blobs that the build makes.

    A base that was pulled eagerly has its layers as source files. Nobody reads
    those from the remote cache, and as files of an output group that is asked for
    they would be uploaded to it.

    Args:
      blobs: depset of File: the blobs of images and artifacts.

    Returns:
      depset of File.
    """
    return depset([blob for blob in blobs.to_list() if not blob.is_source])
