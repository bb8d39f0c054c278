"""Image layers: `load("@drayage//rules:layer.bzl", "image_layer")`."""

load("//rules/private:layer.bzl", _image_layer = "image_layer")

image_layer = _image_layer
