package registry

import (
	"context"
	"errors"
	"io"
	"time"
)

// answerBody keeps a request's context until its answer is read, and ends one that
// stands still or, where its time is bounded, takes too long.
type answerBody struct {
	io.ReadCloser

	ctx    context.Context //nolint:containedctx // that of the request, which ends with its answer
	cancel context.CancelCauseFunc
	idle   time.Duration
	stall  *time.Timer
	total  *time.Timer // nil without a bound
}

// watchAnswer watches over a body. A total of zero is no bound.
func watchAnswer(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, idle, total time.Duration) *answerBody {
	b := &answerBody{ReadCloser: body, ctx: ctx, cancel: cancel, idle: idle}
	b.stall = time.AfterFunc(idle, b.end)
	b.stall.Stop()
	if total > 0 {
		b.total = time.AfterFunc(total, b.end)
	}
	return b
}

func (b *answerBody) end() { b.cancel(errNoProgress) }

// within bounds the time that is left.
func (b *answerBody) within(left time.Duration) {
	if b.total != nil {
		b.total.Stop()
	}
	b.total = time.AfterFunc(left, b.end)
}

func (b *answerBody) Read(p []byte) (int, error) {
	b.stall.Reset(b.idle)
	n, err := b.ReadCloser.Read(p)
	b.stall.Stop()
	if err != nil && !errors.Is(err, io.EOF) && b.ctx.Err() != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *answerBody) Close() error {
	b.stall.Stop()
	if b.total != nil {
		b.total.Stop()
	}
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
