"""The output group with the layers of an image, which lets Bazel upload them."""

def made_here(blobs):
    """Selects the blobs that the build makes.

    A base that was pulled eagerly has its layers as source files. If they were in an
    output group, Bazel would upload them to the remote cache, where nothing reads them.

    Args:
      blobs: depset of File: the blobs of images and artifacts.

    Returns:
      depset of File.
    """
    return depset([blob for blob in blobs.to_list() if not blob.is_source])
