"""The toolchain that finds the `drayage` tool, for those who bring one of their own."""

load("//rules/private:toolchain.bzl", _drayage_toolchain = "drayage_toolchain")

drayage_toolchain = _drayage_toolchain
