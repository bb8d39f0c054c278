"""The module extension that brings the `drayage` tool."""

load("//rules/private:extension.bzl", _drayage = "drayage")

drayage = _drayage
