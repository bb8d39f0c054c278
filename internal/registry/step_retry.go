package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// errCarriedOut says that a request was carried out, although its answer was lost.
var errCarriedOut = errors.New("it was carried out")

// retry tries again what failed in passing, after a pause. It leaves to the next steps
// what a single try is.
func (h *host) retry(ctx context.Context, t *try, next sender) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		fresh := *t
		resp, err := next(ctx, &fresh)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", t.op, context.Cause(ctx))
		}
		failed := asError(err)
		tries := t.triesAfter(failed, h.client.opts.Attempts)
		last := attempt >= tries && (t.carriedOut == nil || !failed.leavesOpen())
		if t.once || failed == nil || !failed.Passing() || last || failed.RetryAfter > h.client.opts.maxWait {
			return nil, err
		}
		h.client.opts.Logger.Debug().Err(err).Str("registry", h.name.RegistryStr()).Int("attempt", attempt).Msg("registry request is tried again")
		if err := h.pause(ctx, attempt, failed.RetryAfter); err != nil {
			return nil, fmt.Errorf("%s: %w", t.op, err)
		}
		if t.carriedOut != nil && failed.leavesOpen() && t.carriedOut(ctx, failed) {
			return nil, errCarriedOut
		}
		if attempt >= tries {
			return nil, err
		}
	}
}

// pause waits before the next try: as long as the registry asked, or else longer
// each time.
func (h *host) pause(ctx context.Context, attempt int, asked time.Duration) error {
	delay := min(200*time.Millisecond<<min(attempt-1, 6), 5*time.Second)
	delay = delay/2 + rand.N(delay/2)
	return h.client.opts.Wait(ctx, max(delay, asked))
}
