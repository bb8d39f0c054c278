package registry

import (
	"context"
	"net/http"
)

// count counts a request for its caller: each try, redirect and answer to a challenge is
// one. It leaves it to transmit to send it.
func (*host) count(ctx context.Context, t *try, next sender) (*http.Response, error) {
	if t.by.Requests != nil {
		t.by.Requests.Add(1)
	}
	return next(ctx, t)
}
