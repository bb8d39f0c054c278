package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/zeebo/blake3"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/pushspec"
)

// blobFiles serves the layers that are at hand as files, and asks the remote
// cache for the others.
type blobFiles struct {
	// paths by the name of a blob in the cache: "sha256:…".
	paths     map[string]string
	otherwise haul.CAS
	// read counts the bytes of what was read so far.
	read atomic.Int64
}

// openBlobFiles finds out which blob each file is, under the digest functions
// that the specs use.
func openBlobFiles(paths []string, specs []*pushspec.Spec) (*blobFiles, error) {
	known := &blobFiles{paths: map[string]string{}}
	functions := map[string]func() hash.Hash{"sha256": sha256.New}
	for _, spec := range specs {
		for _, blob := range spec.Blobs {
			for _, source := range blob.Sources {
				if strings.HasPrefix(source.CAS, "blake3:") {
					functions["blake3"] = func() hash.Hash { return blake3.New() }
				}
			}
		}
	}
	for _, path := range paths {
		for function, newHash := range functions {
			sum, err := hashFile(path, newHash())
			if err != nil {
				return nil, fmt.Errorf("--blob: %w", err)
			}
			known.paths[function+":"+sum] = path
		}
	}
	return known, nil
}

// prefer makes the files the first source of the blobs that they hold, those of
// a base too, whose spec knows the base's registry alone.
func (b *blobFiles) prefer(blobs []pushspec.Blob) {
	for i, blob := range blobs {
		if name := blob.Digest.String(); b.paths[name] != "" {
			blobs[i].Sources = slices.Insert(slices.Clone(blob.Sources), 0, pushspec.Source{CAS: name})
		}
	}
}

func hashFile(path string, h hash.Hash) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	if _, err := io.Copy(h, file); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// ReadAll implements [haul.CAS].
func (b *blobFiles) ReadAll(ctx context.Context, blob cas.Blob) ([]byte, error) {
	b.read.Add(blob.Size)
	if path, here := b.paths[blob.String()]; here {
		return os.ReadFile(path)
	}
	if b.otherwise == nil {
		return nil, errNoCAS
	}
	return b.otherwise.ReadAll(ctx, blob)
}

// Stream implements [haul.CAS].
func (b *blobFiles) Stream(ctx context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error) {
	stream, err := b.open(ctx, blob, offset)
	if err != nil {
		return nil, err
	}
	return countedStream{stream, &b.read}, nil
}

// countedStream counts what is read.
type countedStream struct {
	io.ReadCloser

	bytes *atomic.Int64
}

func (c countedStream) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (b *blobFiles) open(ctx context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error) {
	path, here := b.paths[blob.String()]
	if !here && b.otherwise == nil {
		return nil, errNoCAS
	}
	if !here {
		return b.otherwise.Stream(ctx, blob, offset)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return file, nil
}

// FindMissing implements [haul.CAS]. Without a remote cache nothing is said to be
// missing: what the registry has already need not be here.
func (b *blobFiles) FindMissing(ctx context.Context, instance string, digests []cas.Digest) ([]cas.Digest, error) {
	if b.otherwise == nil {
		return nil, nil
	}
	var elsewhere []cas.Digest
	for _, d := range digests {
		if _, here := b.paths[d.String()]; !here {
			elsewhere = append(elsewhere, d)
		}
	}
	if len(elsewhere) == 0 {
		return nil, nil
	}
	return b.otherwise.FindMissing(ctx, instance, elsewhere)
}

var errNoCAS = errors.New("the layer is not here, and no remote cache is known: " +
	"give its address with --cas or DRAYAGE_CAS, or push with --@drayage//rules/settings:push_strategy=eager, which brings the layers along")
