package registry

import (
	"context"
	"errors"
	"net/http"
)

// transmit sends the request and waits for the header of its answer. It is the last step,
// and says of a request without an answer why that is.
func (h *host) transmit(ctx context.Context, t *try) (*http.Response, error) {
	resp, err := h.http.Do(t.request)
	if err != nil {
		if errors.Is(context.Cause(ctx), errNoProgress) {
			err = errNoProgress
		}
		return nil, &Error{Op: t.op, registry: h.name.RegistryStr(), err: h.unreached(unwrapURL(err)), Credential: t.used.kind}
	}
	if e := h.client.opts.Logger.Debug(); e.Enabled() {
		e.Str("registry", h.name.RegistryStr()).Str("method", t.method).Str("path", t.request.URL.Path).Int("status", resp.StatusCode).Msg(t.op)
	}
	return resp, nil
}
