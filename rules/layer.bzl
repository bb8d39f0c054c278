"""Image layers: `load("@drayage//rules:layer.bzl", "image_layer", "layer_from_tar")`."""

load("//rules/private:layer.bzl", _image_layer = "image_layer")
load("//rules/private:tar_layer.bzl", _layer_from_tar = "layer_from_tar")

image_layer = _image_layer
layer_from_tar = _layer_from_tar
