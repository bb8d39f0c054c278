package haul

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// inMemory is the size in bytes up to which a blob is read as a whole, together
// with others.
const inMemory = 128 << 10

// content reads a blob from the first of its sources that has it.
type content struct {
	job  *job
	blob pushspec.Blob
	data []byte
	// gone says that the sources were found not to have it, a moment ago.
	gone bool
}

// Open implements [registry.Content].
func (c *content) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if c.blob.Data != nil {
		c.data = c.blob.Data
	}
	if c.data != nil {
		return io.NopCloser(bytes.NewReader(c.data[min(offset, int64(len(c.data))):])), nil
	}
	h := c.job.hauler
	deadline := h.opts.Now().Add(h.opts.Grace)
	if c.gone {
		deadline = h.opts.Now()
	}
	for delay := 200 * time.Millisecond; ; delay = min(2*delay, 2*time.Second) {
		r, err := c.openAny(ctx, offset)
		if _, ok := errors.AsType[*cas.NotFoundError](err); !ok {
			return r, err
		}
		// It may be on its way to the cache.
		if !h.opts.Now().Add(delay).Before(deadline) {
			return nil, err
		}
		if err := h.opts.Wait(ctx, delay); err != nil {
			return nil, err
		}
	}
}

// openAny tries the sources in their order. Of several failures the cache's
// counts: it may pass.
func (c *content) openAny(ctx context.Context, offset int64) (io.ReadCloser, error) {
	var failed error
	for _, source := range c.blob.Sources {
		r, err := c.open(ctx, source, offset)
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		if failed == nil || source.CAS != "" {
			failed = err
		}
	}
	return nil, failed
}

func (c *content) open(ctx context.Context, source pushspec.Source, offset int64) (io.ReadCloser, error) {
	if source.Repository != "" {
		return c.openRegistry(ctx, source.Repository, offset)
	}
	h := c.job.hauler
	if h.opts.CAS == nil {
		return nil, &Error{Class: Rejected, Text: "no remote cache is configured to read " + c.job.what(c.blob) + " from"}
	}
	blob, err := c.job.casBlob(source, c.blob.Size)
	if err != nil {
		return nil, err
	}
	if blob.Size > inMemory {
		return h.opts.CAS.Stream(ctx, blob, offset)
	}
	data, err := h.opts.CAS.ReadAll(ctx, blob)
	if err != nil {
		return nil, err
	}
	c.data = data
	return io.NopCloser(bytes.NewReader(data[offset:])), nil
}

func (j *job) casBlob(source pushspec.Source, size int64) (cas.Blob, error) {
	digest, err := cas.ParseDigest(source.CAS)
	if err != nil {
		return cas.Blob{}, &Error{Class: Malformed, Text: "push spec: " + err.Error(), Err: err}
	}
	digest.Size = size
	return cas.Blob{Instance: j.req.Instance, Digest: digest}, nil
}

// openRegistry streams a base layer out of another repository.
func (c *content) openRegistry(ctx context.Context, from string, offset int64) (io.ReadCloser, error) {
	repo, err := name.NewRepository(from, name.StrictValidation)
	if err != nil {
		return nil, &Error{Class: Malformed, Text: fmt.Sprintf("push spec: source %q: %v", from, err), Err: err}
	}
	r, err := c.job.hauler.opts.Registries.Repository(repo.RegistryStr(), repo.RepositoryStr(),
		registry.Caller{Invocation: c.job.req.Invocation})
	if err != nil {
		return nil, err
	}
	return r.ReadBlob(ctx, c.blob.Digest, offset)
}

// sameRegistry is the repository of a source that is in the destination's
// registry.
func (j *job) sameRegistry(source pushspec.Source) (string, bool) {
	if source.Repository == "" {
		return "", false
	}
	repo, err := name.NewRepository(source.Repository, name.StrictValidation)
	if err != nil || repo.RegistryStr() != j.to.Registry() {
		return "", false
	}
	return repo.RepositoryStr(), true
}
