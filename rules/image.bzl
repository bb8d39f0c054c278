"""Images: `load("@drayage//rules:image.bzl", "image_manifest", "image_index", "image_from_binary")`.

`INHERIT_FROM_BASE`, also loaded from here, stands for the base's value in `entrypoint`, `cmd`, `user`, `working_dir` and `stop_signal`."""

load("//rules/private:artifact.bzl", _image_artifact = "image_artifact")
load("//rules/private:binary.bzl", _image_from_binary = "image_from_binary")
load("//rules/private:import.bzl", _image_import = "image_import")
load("//rules/private:index.bzl", _image_index = "image_index")
load("//rules/private:inherit.bzl", _INHERIT_FROM_BASE = "INHERIT_FROM_BASE")
load("//rules/private:manifest.bzl", _image_manifest = "image_manifest")

INHERIT_FROM_BASE = _INHERIT_FROM_BASE
image_artifact = _image_artifact
image_from_binary = _image_from_binary
image_import = _image_import
image_index = _image_index
image_manifest = _image_manifest
