"""Pushes: `load("@drayage//rules:push.bzl", "image_push", "multi_push")`."""

load("//rules/private:push.bzl", _image_push = "image_push", _multi_push = "multi_push")

image_push = _image_push
multi_push = _multi_push
