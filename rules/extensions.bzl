"""The module extensions: the `drayage` tool, and base images."""

load("//rules/private:extension.bzl", _drayage = "drayage")
load("//rules/private:images_extension.bzl", _images = "images")

drayage = _drayage
images = _images
