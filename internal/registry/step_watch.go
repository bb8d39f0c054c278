package registry

import (
	"context"
	"net/http"

	"github.com/drayage/drayage/internal/registry/pacer"
)

// watch opens the body of a request, and ends a request and an answer that stand still. It
// leaves it to the next steps to send the body, and to the caller to close the answer.
func (h *host) watch(ctx context.Context, t *try, next sender) (*http.Response, error) {
	opts := &h.client.opts
	ctx, cancel := context.WithCancelCause(ctx)
	dog := newWatchdog(opts.IdleTimeout, opts.AnswerTimeout, func() { cancel(errNoProgress) })
	body, err := h.openBody(ctx, &t.call, dog)
	if err != nil {
		dog.stop()
		cancel(nil)
		return nil, err
	}
	t.body = body
	resp, err := next(ctx, t)
	if body != nil {
		body.Close()
	}
	dog.stop()
	if err != nil {
		cancel(nil)
		// An upload whose source fails is the source's failure.
		if body != nil && body.failure() != nil {
			return nil, body.failure()
		}
		return nil, err
	}
	total := opts.answerTotal()
	if t.requestSize == pacer.Large && t.method == http.MethodGet {
		total = 0 // a blob takes what it takes, as long as it moves
	}
	resp.Body = watchAnswer(ctx, cancel, resp.Body, opts.IdleTimeout, total)
	return resp, nil
}

// openBody is the body of a request, or nil for an empty one.
func (h *host) openBody(ctx context.Context, c *call, dog *watchdog) (*watchedBody, error) {
	if c.open == nil {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	source, err := c.open(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	body := &watchedBody{watch: dog, progressed: h.progressed, source: source, cancel: cancel, left: c.size}
	if c.size == 0 {
		return nil, body.Close()
	}
	return body, nil
}
