package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/drayage/drayage/e2e/rig"
)

// layoutOf makes an OCI image layout of an image that was built, and returns its
// folder. The image's path has no ".manifest.json"; the layers are all of it, the
// lowest first.
func layoutOf(t *testing.T, w *rig.Workspace, image string, layers ...string) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(text), 0o644))
	}
	manifest := w.Read(t, image+".manifest.json")
	blobs := []string{manifest, w.Read(t, image+".config.json")}
	for _, layer := range layers {
		blobs = append(blobs, w.Read(t, layer))
	}
	for _, blob := range blobs {
		put(fmt.Sprintf("blobs/sha256/%x", sha256.Sum256([]byte(blob))), blob)
	}
	put("oci-layout", `{"imageLayoutVersion": "1.0.0"}`)
	put("index.json", fmt.Sprintf(`{"schemaVersion": 2, "manifests": [{
	"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:%x", "size": %d,
	"annotations": {"org.opencontainers.image.ref.name": "latest"}
}]}`, sha256.Sum256([]byte(manifest)), len(manifest)))
	return dir
}

// umociUnpacked is the file system of the image in a layout, as umoci unpacks it.
func umociUnpacked(t *testing.T, layout string) string {
	t.Helper()
	bundle := filepath.Join(rig.TempDir(t), "bundle")
	output, err := exec.CommandContext(t.Context(), rig.Tool(t, "umoci"), "unpack", "--rootless", "--image="+layout+":latest", bundle).CombinedOutput()
	if err != nil {
		t.Fatalf("umoci: %v\n%s", err, output)
	}
	return filepath.Join(bundle, "rootfs")
}
