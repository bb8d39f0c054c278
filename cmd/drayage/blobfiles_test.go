package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/zeebo/blake3"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/pushspec"
)

func TestAFileIsFoundUnderEitherDigest(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, text := range []string{"one layer", "another..", "and a third"} {
		path := filepath.Join(dir, text)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	files, err := openBlobFiles(paths, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	sha, b3 := sha256.Sum256([]byte("another..")), blake3.Sum256([]byte("another.."))
	for _, digest := range []cas.Digest{
		{Function: cas.SHA256, Hash: hex.EncodeToString(sha[:]), Size: 9},
		{Function: cas.BLAKE3, Hash: hex.EncodeToString(b3[:]), Size: 9},
	} {
		r, err := files.Stream(t.Context(), cas.Blob{Digest: digest}, 2)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || string(data) != "other.." {
			t.Errorf("%s from 2 on: %q, %v", digest.Function, data, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if data, err := files.ReadAll(t.Context(), cas.Blob{Digest: digest}); err != nil || string(data) != "another.." {
			t.Errorf("%s: %q, %v", digest.Function, data, err)
		}
	}
	// Of the same length, and another.
	wrong := cas.Blob{Digest: cas.Digest{Function: cas.SHA256, Hash: hex.EncodeToString(make([]byte, 32)), Size: 9}}
	if _, err := files.Stream(t.Context(), wrong, 0); !errors.Is(err, errNoCAS) {
		t.Errorf("a blob that is not here: %v", err)
	}
}

func TestAFileThatMayBeABlobIsLookedAtBeforeItsRegistry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(path, []byte("nine byte"), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := openBlobFiles([]string{path}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	base := pushspec.Source{Repository: "ghcr.io/acme/base"}
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(make([]byte, 32))}
	blobs := []pushspec.Blob{
		{Descriptor: v1.Descriptor{Digest: digest, Size: 9}, Sources: []pushspec.Source{base}},
		{Descriptor: v1.Descriptor{Digest: digest, Size: 10}, Sources: []pushspec.Source{base}},
	}
	files.prefer(blobs)
	if s := blobs[0].Sources; len(s) != 2 || s[0].CAS != digest.String() || s[1] != base {
		t.Errorf("the sources are %+v", s)
	}
	if s := blobs[1].Sources; len(s) != 1 {
		t.Errorf("the sources of a blob of another length are %+v", s)
	}
}
