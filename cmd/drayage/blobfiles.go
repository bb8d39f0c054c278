package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/pushspec"
)

// blobFiles serves the layers that are on this machine, and asks the remote cache for
// the others.
type blobFiles struct {
	// files are those that were named, and those that the build has left, by their sizes.
	files     map[int64][]*localFile
	disk      *diskCache
	otherwise haul.CAS
	// read counts the bytes of what was read so far.
	read atomic.Int64
}

// openBlobFiles is told of files with layers, of lists of the build's outputs, and of
// the folder of a disk cache, which may be "".
func openBlobFiles(paths, lists []string, diskCache string) (*blobFiles, error) {
	b := &blobFiles{files: map[int64][]*localFile{}}
	add := func(files ...*localFile) {
		for _, file := range files {
			b.files[file.size] = append(b.files[file.size], file)
		}
	}
	for _, path := range paths {
		file, err := openLocalFile(path)
		if err != nil {
			return nil, fmt.Errorf("--blob: %w", err)
		}
		add(file)
	}
	for _, list := range lists {
		left, err := outputs(list)
		if err != nil {
			return nil, fmt.Errorf("--outputs: %w", err)
		}
		add(left...)
	}
	var err error
	b.disk, err = openDiskCache(diskCache)
	return b, err
}

// file is the file with a blob's bytes, or nil.
func (b *blobFiles) file(d cas.Digest) *localFile {
	for _, file := range b.files[d.Size] {
		if file.is(d) {
			return file
		}
	}
	if file := b.disk.file(d); file != nil && file.is(d) {
		return file
	}
	return nil
}

// mayHave tells whether a blob can be here, without reading for it.
func (b *blobFiles) mayHave(d cas.Digest) bool {
	if slices.ContainsFunc(b.files[d.Size], func(f *localFile) bool { return f.mayBe(d) }) {
		return true
	}
	file := b.disk.file(d)
	return file != nil && file.mayBe(d)
}

// prefer makes the files the first source of the blobs that they may hold, those
// of a base too, whose spec knows the base's registry alone.
func (b *blobFiles) prefer(blobs []pushspec.Blob) {
	for i, blob := range blobs {
		if len(b.files[blob.Size]) > 0 {
			blobs[i].Sources = slices.Insert(slices.Clone(blob.Sources), 0, pushspec.Source{CAS: blob.Digest.String()})
		}
	}
}

// ReadAll implements [haul.CAS].
func (b *blobFiles) ReadAll(ctx context.Context, blob cas.Blob) ([]byte, error) {
	for {
		file := b.file(blob.Digest)
		if file == nil {
			break
		}
		data, err := file.readAll()
		if err == nil {
			b.read.Add(blob.Size)
			return data, nil
		}
		file.spoil(err) // so that this ends
	}
	if b.otherwise == nil {
		return nil, errNoCAS
	}
	b.read.Add(blob.Size)
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
	if file := b.file(blob.Digest); file != nil {
		return openLocalStream(file, offset, func(offset int64) (io.ReadCloser, error) { return b.open(ctx, blob, offset) })
	}
	if b.otherwise == nil {
		return nil, errNoCAS
	}
	return b.otherwise.Stream(ctx, blob, offset)
}

// FindMissing implements [haul.CAS]. Nothing is said to be missing that may be here:
// to know it is to read all of it. Without a remote cache nothing is missing at all:
// what the registry has already need not be here.
func (b *blobFiles) FindMissing(ctx context.Context, instance string, digests []cas.Digest) ([]cas.Digest, error) {
	if b.otherwise == nil {
		return nil, nil
	}
	var elsewhere []cas.Digest
	for _, d := range digests {
		if !b.mayHave(d) {
			elsewhere = append(elsewhere, d)
		}
	}
	if len(elsewhere) == 0 {
		return nil, nil
	}
	return b.otherwise.FindMissing(ctx, instance, elsewhere)
}

var errNoCAS = errors.New("the layer is not on this machine, and no remote cache is set: pass the cache's address as --cas or DRAYAGE_CAS, " +
	"or the folder of the build's --disk_cache as --disk-cache or DRAYAGE_DISK_CACHE, " +
	"or run the target with --@drayage//rules/settings:push_strategy=eager, which downloads the layers first")
