package registry

import (
	"context"
	"net/http"
)

// accept makes an error of an answer that the call does not accept, or that no registry
// gave. It leaves to the next steps what has an answer of its own: challenges and
// redirects.
func (h *host) accept(ctx context.Context, t *try, next sender) (*http.Response, error) {
	resp, err := next(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := h.checkForeign(t.op, resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	if t.accepts(resp.StatusCode) {
		return resp, nil
	}
	return nil, h.answerError(t.op, h.name.RegistryStr(), t.used, resp)
}
