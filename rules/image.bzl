"""Images: `load("@drayage//rules:image.bzl", "image_manifest")`."""

load("//rules/private:manifest.bzl", _image_manifest = "image_manifest")

image_manifest = _image_manifest
