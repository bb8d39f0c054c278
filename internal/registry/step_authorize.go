package registry

import (
	"context"
	"net/http"
)

// authorize finds what to authorize the request by: nothing, a password, or a token, which
// it may have to get. It leaves it to compose to send that along.
func (h *host) authorize(ctx context.Context, t *try, next sender) (*http.Response, error) {
	used, err := h.auth.authorize(ctx, t.scopes)
	if err != nil {
		return nil, err
	}
	t.used = used
	return next(ctx, t)
}
