"""Pushes: `load("@drayage//rules:push.bzl", "image_push")`."""

load("//rules/private:push.bzl", _image_push = "image_push")

image_push = _image_push
