package registry

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// pace waits until a request may go, and tells the pacer how it went. It leaves to the
// next steps what is done in the slot that the request then has.
func (h *host) pace(ctx context.Context, t *try, next sender) (*http.Response, error) {
	err := h.pacer.acquire(ctx, t.requestSize, t.by.Invocation)
	if throttled := asError(err); throttled != nil {
		throttled.Op, throttled.Registry = t.op, h.name.RegistryStr()
		return nil, throttled
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.op, err)
	}
	var status int
	var after time.Duration
	defer func() { h.pacer.release(t.requestSize, status, after) }()
	resp, err := next(ctx, t)
	if err != nil {
		return nil, err
	}
	status, after = resp.StatusCode, retryAfter(resp, h.now())
	return resp, nil
}
