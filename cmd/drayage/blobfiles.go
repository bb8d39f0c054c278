package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/pushspec"
)

// blobFiles serves the layers that are at hand as files, and asks the remote
// cache for the others.
type blobFiles struct {
	files     []*localFile
	otherwise haul.CAS
	// read counts the bytes of what was read so far.
	read atomic.Int64
}

func openBlobFiles(paths []string) (*blobFiles, error) {
	b := &blobFiles{}
	for _, path := range paths {
		file, err := openLocalFile(path)
		if err != nil {
			return nil, fmt.Errorf("--blob: %w", err)
		}
		b.files = append(b.files, file)
	}
	return b, nil
}

// path is that of the file with a blob's bytes, or "".
func (b *blobFiles) path(d cas.Digest) (string, error) {
	for _, file := range b.files {
		if is, err := file.is(d); is || err != nil {
			return file.path, err
		}
	}
	return "", nil
}

// prefer makes the files the first source of the blobs that they may hold, those
// of a base too, whose spec knows the base's registry alone.
func (b *blobFiles) prefer(blobs []pushspec.Blob) {
	for i, blob := range blobs {
		if slices.ContainsFunc(b.files, func(f *localFile) bool { return f.size == blob.Size }) {
			blobs[i].Sources = slices.Insert(slices.Clone(blob.Sources), 0, pushspec.Source{CAS: blob.Digest.String()})
		}
	}
}

// ReadAll implements [haul.CAS].
func (b *blobFiles) ReadAll(ctx context.Context, blob cas.Blob) ([]byte, error) {
	b.read.Add(blob.Size)
	path, err := b.path(blob.Digest)
	if err != nil {
		return nil, err
	}
	if path != "" {
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
	path, err := b.path(blob.Digest)
	if err != nil {
		return nil, err
	}
	if path == "" && b.otherwise == nil {
		return nil, errNoCAS
	}
	if path == "" {
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
		path, err := b.path(d)
		if err != nil {
			return nil, err
		}
		if path == "" {
			elsewhere = append(elsewhere, d)
		}
	}
	if len(elsewhere) == 0 {
		return nil, nil
	}
	return b.otherwise.FindMissing(ctx, instance, elsewhere)
}

var errNoCAS = errors.New("the layer is not here, and no remote cache is known: " +
	"give its address with --cas or DRAYAGE_CAS, or run the target with --@drayage//rules/settings:push_strategy=eager, which brings the layers along")
