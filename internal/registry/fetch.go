package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// fetch makes a request without a body that is not paced: to a token service, or to where
// a registry keeps its blobs. Whoever is asked has the time of a registry.
func (h *host) fetch(req *http.Request, total time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	watch := time.AfterFunc(h.client.opts.IdleTimeout, func() { cancel(errNoProgress) })
	resp, err := h.http.Do(req.WithContext(ctx))
	watch.Stop()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = watchAnswer(ctx, cancel, resp.Body, h.client.opts.IdleTimeout, total)
	return resp, nil
}

// unwrapURL takes the method and address off an error of net/http: they may hold
// what should not be logged, an upload's signed query say.
func unwrapURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
