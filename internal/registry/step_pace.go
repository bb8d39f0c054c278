package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/drayage/drayage/internal/registry/pacer"
)

// pace waits until a request may go, and tells the pacer how it went. It leaves to the
// next steps what is done in the slot that the request then has.
func (h *host) pace(ctx context.Context, t *try, next sender) (*http.Response, error) {
	err := h.pacer.Acquire(ctx, t.requestSize, t.by.Invocation)
	if long, ok := errors.AsType[*pacer.TooLongError](err); ok {
		// As if the registry had been asked: that is what it would say.
		return nil, &Error{Op: t.op, registry: h.name.RegistryStr(), Status: http.StatusTooManyRequests, RetryAfter: long.Wait}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.op, err)
	}
	var status int
	var after time.Duration
	defer func() { h.pacer.Release(t.requestSize, status, after) }()
	resp, err := next(ctx, t)
	if err != nil {
		return nil, err
	}
	status, after = resp.StatusCode, retryAfter(resp, h.now())
	return resp, nil
}
