package image_test

import (
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/image"
	"github.com/drayage/drayage/internal/layer"
	"github.com/drayage/drayage/pushspec"
)

func TestAnArtifactsManifestIsExactlyThis(t *testing.T) {
	file := layerOf("b")
	file.MediaType, file.Annotations = "application/spdx+json", map[string]string{"org.opencontainers.image.title": "sbom.json"}
	subject := v1.Descriptor{MediaType: types.OCIImageIndex, Digest: hash("a"), Size: 7, Platform: &v1.Platform{OS: "linux"}}
	got, err := image.Referrer(subject, image.Artifact{Type: "application/spdx+json", Files: []layer.Metadata{file}, Annotations: map[string]string{"tool": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	// The digest of "{}" is the one that the OCI image spec gives for it.
	want := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},`+
		`"layers":[{"mediaType":"application/spdx+json","size":100,"digest":"%s","annotations":{"org.opencontainers.image.title":"sbom.json"}}],`+
		`"annotations":{"tool":"x"},"subject":{"mediaType":"application/vnd.oci.image.index.v1+json","size":7,"digest":"%s"},"artifactType":"application/spdx+json"}`,
		hash("b"), hash("a"))
	if string(got) != want {
		t.Errorf("the manifest is\n%s\nwant\n%s", got, want)
	}
}

func TestAnArtifactWithoutTypeOrFilesIsRefused(t *testing.T) {
	for want, artifact := range map[string]image.Artifact{
		"must have a type":            {Files: []layer.Metadata{layerOf("a")}},
		"must have at least one file": {Type: "application/spdx+json"},
	} {
		if _, err := image.Referrer(v1.Descriptor{}, artifact); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
	}
}

func TestAPushSpecHasTheArtifactsAfterTheImage(t *testing.T) {
	layers := []layer.Metadata{layerOf("a")}
	made, _, _ := assemble(t, image.Spec{Layers: layers, Platform: "linux/amd64"})
	root := image.Describe(types.OCIManifestSchema1, made.Manifest)
	var referrers [][]byte
	for _, kind := range []string{"application/spdx+json", "application/vnd.in-toto+json", "application/spdx+json"} {
		manifest, err := image.Referrer(root, image.Artifact{Type: kind, Files: []layer.Metadata{layerOf("b")}})
		if err != nil {
			t.Fatal(err)
		}
		referrers = append(referrers, manifest)
	}
	spec, err := image.PushSpec(image.Push{
		Target: "@@//app:push", Destination: pushspec.Destination{Registry: "ghcr.io", Repository: "acme/app"},
		Images: []image.Image{made}, Layers: append(layers, layerOf("b")), Referrers: referrers,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	// The image and two artifacts, of which one was named twice; the two configs, the
	// layer, and the file that both artifacts have.
	if len(spec.Manifests) != 3 || len(spec.Blobs) != 4 || spec.Root != root.Digest || spec.Manifests[0].Digest != root.Digest {
		t.Errorf("%d manifests, %d blobs, root %s", len(spec.Manifests), len(spec.Blobs), spec.Root)
	}
}
