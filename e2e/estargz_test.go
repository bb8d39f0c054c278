package e2e_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/go-json-experiment/json"
	"github.com/opencontainers/go-digest"
)

// wantVerified reads every chunk of every file of an eStargz layer, and has the
// upstream library verify it against the table of contents that the layer's
// metadata names.
func wantVerified(t *testing.T, blob, metadata string) {
	t.Helper()
	var described struct {
		Annotations map[string]string `json:"annotations"`
	}
	check(t, json.Unmarshal([]byte(metadata), &described))
	layer, err := estargz.Open(io.NewSectionReader(strings.NewReader(blob), 0, int64(len(blob))))
	check(t, err)
	verifier, err := layer.VerifyTOC(digest.Digest(described.Annotations[estargz.TOCJSONDigestAnnotation]))
	check(t, err)

	root, found := layer.Lookup("")
	if !found {
		t.Fatal("the table of contents has no root")
	}
	files, chunks := 0, 0
	var walk func(path string, entry *estargz.TOCEntry)
	walk = func(path string, entry *estargz.TOCEntry) {
		entry.ForeachChild(func(name string, child *estargz.TOCEntry) bool {
			walk(strings.TrimPrefix(path+"/"+name, "/"), child)
			return true
		})
		if entry.Type != "reg" {
			return
		}
		files++
		chunks += verifyChunks(t, layer, verifier, path, entry.Size)
	}
	walk("", root)
	if files < 10 || chunks <= files {
		t.Errorf("%d files in %d chunks were verified", files, chunks)
	}
}

func verifyChunks(t *testing.T, layer *estargz.Reader, verifier estargz.TOCEntryVerifier, path string, size int64) (chunks int) {
	t.Helper()
	file, err := layer.OpenFile(path)
	check(t, err)
	for offset := int64(0); offset < size; chunks++ {
		chunk, found := layer.ChunkEntryForOffset(path, offset)
		if !found {
			t.Fatalf("%s has no chunk at %d", path, offset)
		}
		content := make([]byte, chunk.ChunkSize)
		if _, err := file.ReadAt(content, chunk.ChunkOffset); err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("read %s: %v", path, err)
		}
		sum, err := verifier.Verifier(chunk)
		check(t, err)
		if _, err := sum.Write(content); err != nil || !sum.Verified() {
			t.Fatalf("%s at %d is not verified (%v)", path, offset, err)
		}
		offset = chunk.ChunkOffset + chunk.ChunkSize
	}
	return chunks
}
