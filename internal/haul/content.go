package haul

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// inMemory is the size in bytes up to which a blob is read as a whole, together
// with others.
const inMemory = 128 << 10

// content reads a blob from the first of its sources that has it.
type content struct {
	shipment *shipment
	blob     pushspec.Blob
	data     []byte
	// gone says that the sources were found not to have it, a moment ago.
	gone bool
	// from is the repository that it was last read from, or "" for the cache.
	from string
	// opened is a stream that is ready to be read, and cancel ends it.
	opened io.ReadCloser
	cancel context.CancelCauseFunc
}

// ready opens a blob that may come out of a registry before its upload takes its turn at
// the destination: what a base's registry makes us wait for, nobody else waits for.
func (c *content) ready(ctx context.Context) error {
	if c.blob.Data != nil || !slices.ContainsFunc(c.blob.Sources, func(s pushspec.Source) bool { return s.Repository != "" }) {
		return nil
	}
	ctx, c.cancel = context.WithCancelCause(ctx)
	var err error
	c.opened, err = c.openOrWait(ctx, 0)
	return err
}

// close lets go of what was opened and not read.
func (c *content) close() {
	if c.opened != nil {
		_ = c.opened.Close()
	}
	if c.cancel != nil {
		c.cancel(nil)
	}
}

// takeOpened gives the stream that is ready, if it is the one that is asked for. It ends
// with the context of who asks.
func (c *content) takeOpened(ctx context.Context, offset int64) io.ReadCloser {
	r := c.opened
	if r == nil || offset != 0 {
		return nil
	}
	c.opened = nil
	context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) })
	return r
}

// mismatched says whose bytes are wrong, where they were not the cache's.
func (c *content) mismatched(err error) error {
	wrong, ok := errors.AsType[*registry.MismatchError](err)
	if !ok || c.from == "" {
		return err
	}
	return &baseError{c.from, c.shipment.request.Copied, wrong}
}

// Open implements [registry.Content].
func (c *content) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if c.blob.Data != nil {
		c.data = c.blob.Data
	}
	if c.data != nil {
		return io.NopCloser(bytes.NewReader(c.data[min(offset, int64(len(c.data))):])), nil
	}
	if r := c.takeOpened(ctx, offset); r != nil {
		return r, nil
	}
	return c.openOrWait(ctx, offset)
}

// openOrWait opens one of the sources, and waits for a blob that may be on its way to the
// cache.
func (c *content) openOrWait(ctx context.Context, offset int64) (io.ReadCloser, error) {
	h := c.shipment.hauler
	deadline := h.opts.Now().Add(h.opts.Grace)
	if c.gone {
		deadline = h.opts.Now()
	}
	for delay := 200 * time.Millisecond; ; delay = min(2*delay, 2*time.Second) {
		r, err := c.openAny(ctx, offset)
		if _, ok := errors.AsType[*cas.NotFoundError](err); !ok {
			return r, err
		}
		if !h.opts.Now().Add(delay).Before(deadline) {
			return nil, err
		}
		if err := h.opts.Wait(ctx, delay); err != nil {
			return nil, err
		}
	}
}

// openAny tries the sources in their order.
func (c *content) openAny(ctx context.Context, offset int64) (io.ReadCloser, error) {
	var failed sourcesError
	for _, source := range c.blob.Sources {
		r, err := c.open(ctx, source, offset)
		if err == nil {
			c.from = source.Repository
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		failed = append(failed, err)
	}
	if len(failed) == 1 {
		return nil, failed[0]
	}
	return nil, failed
}

func (c *content) open(ctx context.Context, source pushspec.Source, offset int64) (io.ReadCloser, error) {
	if source.Repository != "" {
		return c.openRegistry(ctx, source.Repository, offset)
	}
	h := c.shipment.hauler
	if h.opts.CAS == nil {
		return nil, &Error{Class: Rejected, Source: true, Text: "read " + c.shipment.what(c.blob) + ": no remote cache is configured"}
	}
	blob, err := c.shipment.casBlob(source, c.blob.Size)
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

func (s *shipment) casBlob(source pushspec.Source, size int64) (cas.Blob, error) {
	digest, err := cas.ParseDigest(source.CAS)
	if err != nil {
		return cas.Blob{}, &Error{Class: Malformed, Text: "push spec: " + err.Error(), Err: err}
	}
	digest.Size = size
	return cas.Blob{Instance: s.request.Instance, Digest: digest}, nil
}
