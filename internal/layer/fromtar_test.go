package layer_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drayage/drayage/internal/layer"
)

func TestAnArchiveBecomesALayer(t *testing.T) {
	file := source(t, filepath.Join(t.TempDir(), "f"), strings.Repeat("f", 10_000))
	for _, from := range []layer.Compression{layer.Gzip, layer.Zstd, layer.None} {
		archive, original := write(t, "put\t0644\t/f\tfile\t\t"+file+"\n", layer.Options{Compression: from})
		for _, to := range []layer.Compression{"", layer.Gzip, layer.Zstd, layer.None} {
			var blob bytes.Buffer
			made, err := layer.FromTar(&blob, bytes.NewReader(archive), layer.Options{Compression: to})
			if err != nil {
				t.Fatal(err)
			}
			if made.DiffID != original.DiffID {
				t.Errorf("%s to %q: diff id is %s, want %s", from, to, made.DiffID, original.DiffID)
			}
			if to == "" && (!bytes.Equal(archive, blob.Bytes()) || cmp.Diff(original, made) != "") {
				t.Errorf("%s: the blob is not the archive: %s", from, cmp.Diff(original, made))
			}
			if want := fmt.Sprintf("sha256:%x", sha256.Sum256(blob.Bytes())); made.Digest.String() != want {
				t.Errorf("%s to %q: digest is %s, want %s", from, to, made.Digest, want)
			}
		}
	}
}

func TestABrokenArchiveIsNoLayer(t *testing.T) {
	for _, start := range []string{"\x1f\x8b", "\x28\xb5\x2f\xfd"} {
		if _, err := layer.FromTar(io.Discard, strings.NewReader(start+"not really"), layer.Options{}); err == nil {
			t.Errorf("an archive that begins %q and goes on wrong is taken", start)
		}
	}
}
