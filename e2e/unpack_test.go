package e2e_test

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/e2e/rig"
)

// layerOf is a layer's blob, and the manifest of the image of it.
func layerOf(t *testing.T, w *rig.Workspace, name string) (string, v1.Manifest) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.Dir, "bazel-bin", "archives", name+".*"))
	check(t, err)
	found = slices.DeleteFunc(found, func(path string) bool { return strings.HasSuffix(path, ".json") })
	if len(found) != 1 {
		t.Fatalf("the blob of %s is one of %v", name, found)
	}
	blob, err := os.ReadFile(found[0])
	check(t, err)
	var manifest v1.Manifest
	check(t, json.Unmarshal([]byte(w.Read(t, "bazel-bin/archives/"+name+"_image.manifest.json")), &manifest))
	return string(blob), manifest
}

// heldIn is what a folder holds: paths, and what is there.
func heldIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	check(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		check(t, err)
		text := info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			check(t, err)
			text = "link to " + to
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			check(t, err)
			text += fmt.Sprintf(" %d bytes %x", len(content), sha256.Sum256(content))
		}
		relative, err := filepath.Rel(dir, path)
		check(t, err)
		switch relative { // what eStargz adds
		case ".no.prefetch.landmark", "stargz.index.json":
			return nil
		}
		found[relative] = text
		return nil
	}))
	return found
}

// gnuTarExtract has GNU tar unpack a blob. Everything is to be in it: GNU tar
// itself may not know a compression.
func gnuTarExtract(t *testing.T, blob, dir string) {
	t.Helper()
	switch {
	case strings.HasPrefix(blob, "\x1f\x8b"):
		r, err := gzip.NewReader(strings.NewReader(blob))
		check(t, err)
		plain, err := io.ReadAll(r)
		check(t, err)
		blob = string(plain)
	case strings.HasPrefix(blob, "\x28\xb5\x2f\xfd"):
		cmd := exec.CommandContext(t.Context(), rig.Tool(t, "zstd"), "-dcq")
		cmd.Stdin = strings.NewReader(blob)
		plain, err := cmd.Output()
		check(t, err)
		blob = string(plain)
	}
	cmd := exec.CommandContext(t.Context(), "tar", "--extract", "--file=-", "--directory="+dir, "--no-same-owner", "--preserve-permissions")
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(blob)
	if output, err := cmd.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("tar: %v\n%s", err, output)
	}
}

// umociUnpack has umoci unpack an image of one layer, and returns the folder.
func umociUnpack(t *testing.T, blob, manifest, config string) string {
	t.Helper()
	layout := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(layout, "blobs", "sha256"), 0o755))
	for _, content := range []string{manifest, config, blob} {
		check(t, os.WriteFile(filepath.Join(layout, "blobs", "sha256", fmt.Sprintf("%x", sha256.Sum256([]byte(content)))), []byte(content), 0o644))
	}
	check(t, os.WriteFile(filepath.Join(layout, "oci-layout"), []byte(`{"imageLayoutVersion": "1.0.0"}`), 0o644))
	check(t, os.WriteFile(filepath.Join(layout, "index.json"), fmt.Appendf(nil, `{"schemaVersion": 2, "manifests": [{
	"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:%x", "size": %d,
	"annotations": {"org.opencontainers.image.ref.name": "latest"}
}]}`, sha256.Sum256([]byte(manifest)), len(manifest)), 0o644))
	bundle := filepath.Join(rig.TempDir(t), "bundle")
	output, err := exec.CommandContext(t.Context(), rig.Tool(t, "umoci"), "unpack", "--rootless", "--image="+layout+":latest", bundle).CombinedOutput()
	if err != nil {
		t.Fatalf("umoci: %v\n%s", err, output)
	}
	return filepath.Join(bundle, "rootfs")
}
