package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/dustin/go-humanize"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// CAS is the remote cache that has a build's blobs. [cas.Client] is one.
type CAS interface {
	// Stream reads a blob from offset on, without verifying it.
	Stream(ctx context.Context, blob cas.Blob, offset int64) (io.ReadCloser, error)
}

// Sources are where blobs are read from.
type Sources struct {
	CAS CAS
	// Instance is the instance name that the build used in the CAS.
	Instance   string
	Registries *registry.Client
	// Read, if set, counts the bytes that were read.
	Read *atomic.Int64
}

// open reads a blob from offset on, from the first of its sources that has it.
// The bytes are not verified.
func (s Sources) open(ctx context.Context, blob pushspec.Blob, offset int64) (io.ReadCloser, error) {
	if blob.Data != nil {
		return io.NopCloser(bytes.NewReader(blob.Data[min(offset, int64(len(blob.Data))):])), nil
	}
	var failures []error
	for _, source := range blob.Sources {
		r, err := s.openOne(ctx, blob, source, offset)
		if err == nil && s.Read != nil {
			r = counted{r, s.Read}
		}
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		failures = append(failures, err)
	}
	err := errors.Join(failures...)
	if !pushspec.Distributable(blob.MediaType) {
		return nil, notHere(blob, err)
	}
	if _, ok := errors.AsType[*cas.NotFoundError](err); ok && len(failures) == 1 {
		return nil, &missingError{blob: blob, err: err}
	}
	return nil, fmt.Errorf("%s: %w", describe(blob.Descriptor), err)
}

// notHere is the error for a nondistributable layer that no source has.
func notHere(blob pushspec.Blob, err error) error {
	where := "its descriptor has no URL"
	if len(blob.URLs) > 0 {
		where = fmt.Sprintf("its publisher offers it at %q", blob.URLs[0])
	}
	text := fmt.Sprintf("%s is nondistributable, so it was not pulled: %s; fetch it, and give the file with --blob", describe(blob.Descriptor), where)
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return errors.New(text)
}

func (s Sources) openOne(ctx context.Context, blob pushspec.Blob, source pushspec.Source, offset int64) (io.ReadCloser, error) {
	if source.Repository != "" {
		host, repository, err := pushspec.CanonicalRepository(source.Repository)
		if err != nil {
			return nil, fmt.Errorf("push spec: source %q: %w", source.Repository, err)
		}
		r, err := s.Registries.Repository(host, repository, registry.Caller{Invocation: "drayage load"})
		if err != nil {
			return nil, err
		}
		return r.ReadBlob(ctx, blob.Digest, offset)
	}
	digest, err := cas.ParseDigest(source.CAS)
	if err != nil {
		return nil, fmt.Errorf("push spec: %w", err)
	}
	digest.Size = blob.Size
	return s.CAS.Stream(ctx, cas.Blob{Instance: s.Instance, Digest: digest}, offset)
}

// missingError says that the remote cache, the only source of a blob, does not have
// it.
type missingError struct {
	blob pushspec.Blob
	err  error
}

func (e *missingError) Error() string {
	text := describe(e.blob.Descriptor)
	if target := e.blob.Target(); target != "" {
		text += " of " + target
	}
	return text + " is not in the remote cache"
}

func (e *missingError) Unwrap() error { return e.err }

// counted counts what is read.
type counted struct {
	io.ReadCloser

	bytes *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// describe names a blob for people: "layer sha256:… (12 MiB)".
func describe(d v1.Descriptor) string {
	role := "layer"
	switch {
	case d.MediaType.IsConfig():
		role = "config"
	case d.MediaType.IsImage(), d.MediaType.IsIndex():
		role = "manifest"
	}
	return fmt.Sprintf("%s %s (%s)", role, d.Digest, humanize.IBytes(uint64(max(d.Size, 0))))
}
