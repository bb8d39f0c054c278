"""The providers, for your own rules that make layers and images for Drayage, or use those of Drayage."""

load("//rules/private:providers.bzl", _ArtifactInfo = "ArtifactInfo", _ImageIndexInfo = "ImageIndexInfo", _ImageManifestInfo = "ImageManifestInfo", _LayerInfo = "LayerInfo", _PushSpecInfo = "PushSpecInfo")

ArtifactInfo = _ArtifactInfo
ImageIndexInfo = _ImageIndexInfo
ImageManifestInfo = _ImageManifestInfo
LayerInfo = _LayerInfo
PushSpecInfo = _PushSpecInfo
