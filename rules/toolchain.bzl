"""The toolchain of the `drayage` tool, for users who bring their own."""

load("//rules/private:toolchain.bzl", _drayage_toolchain = "drayage_toolchain")

drayage_toolchain = _drayage_toolchain
