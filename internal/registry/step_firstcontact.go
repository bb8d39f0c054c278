package registry

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// firstPatience is how long the first request may keep the others waiting: one that
// hangs must not hold them up.
const firstPatience = 3 * time.Second

// firstContact lets one request go before the others, until the registry has answered
// one: it learns how the registry wants to be authenticated to, and the others need not
// be refused as well. It leaves the learning to the next steps.
func (h *host) firstContact(ctx context.Context, t *try, next sender) (*http.Response, error) {
	if h.met.Load() {
		return next(ctx, t)
	}
	timer := time.NewTimer(firstPatience)
	defer timer.Stop()
	select {
	case h.first <- struct{}{}:
		defer func() { <-h.first }()
	case <-timer.C:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", t.op, context.Cause(ctx))
	}
	return next(ctx, t)
}
