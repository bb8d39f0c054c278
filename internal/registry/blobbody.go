package registry

import (
	"context"
	"errors"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// blobBody is a blob that is being read, over as many streams as it takes.
type blobBody struct {
	ctx        context.Context //nolint:containedctx // that of the call that began it; a Reader takes none
	repository *Repository
	digest     v1.Hash
	// at is the offset of the next byte.
	at int64
	// failures counts the streams in a row that yielded nothing.
	failures int

	body   io.ReadCloser
	cancel context.CancelCauseFunc
	// watch ends a stream that stands still while it is read.
	watch *time.Timer
}

func (b *blobBody) open() error {
	ctx, cancel := context.WithCancelCause(b.ctx)
	body, err := b.repository.openBlob(ctx, b.digest, b.at)
	if err != nil {
		cancel(nil)
		return err
	}
	b.body, b.cancel = body, cancel
	b.watch = time.AfterFunc(b.idle(), func() { cancel(errNoProgress) })
	b.watch.Stop()
	return nil
}

func (b *blobBody) idle() time.Duration { return b.repository.host.client.opts.IdleTimeout }

func (b *blobBody) Read(p []byte) (int, error) {
	for {
		b.watch.Reset(b.idle())
		n, err := b.body.Read(p)
		b.watch.Stop()
		b.at += int64(n)
		if n > 0 {
			b.failures = 0
			if !errors.Is(err, io.EOF) {
				err = nil // the next read meets it again
			}
		}
		if err == nil || errors.Is(err, io.EOF) {
			return n, err
		}
		if err := b.again(err); err != nil {
			return 0, err
		}
	}
}

// again begins the next stream after one that failed.
func (b *blobBody) again(failed error) error {
	h := b.repository.host
	b.Close()
	if b.ctx.Err() != nil {
		return context.Cause(b.ctx)
	}
	b.failures++
	if b.failures >= h.client.opts.Attempts {
		return h.brokeOff("read blob "+b.repository.name+"@"+b.digest.String(), failed)
	}
	h.client.opts.Logger.Debug().Err(failed).Str("registry", b.repository.Registry()).Str("digest", b.digest.String()).Int64("offset", b.at).
		Msg("stream of a blob broke off and goes on")
	if err := h.pause(b.ctx, b.failures, 0); err != nil {
		return err
	}
	return b.open()
}

// Close lets go of the stream.
func (b *blobBody) Close() error {
	b.watch.Stop()
	b.cancel(nil)
	return b.body.Close()
}
