package layer_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/opencontainers/go-digest"

	"github.com/drayage/drayage/internal/layer"
)

func TestEStargzPassesItsOwnVerifier(t *testing.T) {
	dir := t.TempDir()
	source(t, filepath.Join(dir, "tree/a"), strings.Repeat("a", 10_000))
	source(t, filepath.Join(dir, "tree/b"), "b")
	blob, metadata := write(t, "put\t0644\t/app\tfile\t\t"+dir+"/tree\n", layer.Options{EStargz: true, Scratch: dir})
	r, err := estargz.Open(io.NewSectionReader(bytes.NewReader(blob), 0, int64(len(blob))))
	if err != nil {
		t.Fatal(err)
	}
	toc, err := digest.Parse(metadata.Annotations[estargz.TOCJSONDigestAnnotation])
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := r.VerifyTOC(toc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"app/a", "app/b"} {
		entry, found := r.Lookup(name)
		if !found {
			t.Fatalf("%s is not in the table of contents", name)
		}
		file, err := r.OpenFile(name)
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, file.Size())
		if _, err := file.ReadAt(content, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		check, err := verifier.Verifier(entry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := check.Write(content); err != nil || !check.Verified() {
			t.Errorf("%s is not verified (%v)", name, err)
		}
	}
	archive := decompress(t, blob, layer.Gzip)
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(archive)); metadata.DiffID.String() != got {
		t.Errorf("diff id is %s, want %s", metadata.DiffID, got)
	}
	if got := metadata.Annotations[estargz.StoreUncompressedSizeAnnotation]; got != strconv.Itoa(len(archive)) {
		t.Errorf("uncompressed size is %s, want %d", got, len(archive))
	}
}
