"""The providers with which other rules can make layers and images for Drayage, or use its own."""

load("//rules/private:providers.bzl", _ImageManifestInfo = "ImageManifestInfo", _LayerInfo = "LayerInfo", _PushSpecInfo = "PushSpecInfo")

ImageManifestInfo = _ImageManifestInfo
LayerInfo = _LayerInfo
PushSpecInfo = _PushSpecInfo
