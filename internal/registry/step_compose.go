package registry

import (
	"context"
	"fmt"
	"net/http"
)

// compose makes the HTTP request out of what the steps above have prepared. It leaves it to
// the next steps to send it.
func (h *host) compose(ctx context.Context, t *try, next sender) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, t.method, t.url, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.op, err)
	}
	if t.header != nil {
		req.Header = t.header.Clone()
	}
	req.Header.Set("User-Agent", h.client.opts.UserAgent)
	if t.used.header != "" {
		req.Header.Set("Authorization", t.used.header)
	}
	if t.body != nil {
		req.Body, req.ContentLength = t.body, t.size
	} else if t.open != nil {
		req.Body = http.NoBody
	}
	t.request = req
	return next(ctx, t)
}
