package registry

import (
	"context"
	"net/http"
)

// observe notes what every answer shows: that the registry is there, what kind it is, and
// that things go on with it. It leaves what the answer means to the steps above it.
func (h *host) observe(ctx context.Context, t *try, next sender) (*http.Response, error) {
	resp, err := next(ctx, t)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < http.StatusInternalServerError && resp.StatusCode != http.StatusTooManyRequests {
		h.progressed()
	}
	h.met.Store(true)
	h.recognise(resp.Header)
	return resp, nil
}
