"""The providers with which other rules can make layers and images for Drayage, or use its own."""

load("//rules/private:providers.bzl", _ArtifactInfo = "ArtifactInfo", _ImageIndexInfo = "ImageIndexInfo", _ImageManifestInfo = "ImageManifestInfo", _LayerInfo = "LayerInfo", _PushSpecInfo = "PushSpecInfo")

ArtifactInfo = _ArtifactInfo
ImageIndexInfo = _ImageIndexInfo
ImageManifestInfo = _ImageManifestInfo
LayerInfo = _LayerInfo
PushSpecInfo = _PushSpecInfo
