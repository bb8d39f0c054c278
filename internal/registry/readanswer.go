package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// read makes a request and reads its answer, which must not be over the limit in bytes.
// An answer that breaks off is asked for again.
func (h *host) read(ctx context.Context, by Caller, c call, limit int64) (*http.Response, []byte, error) {
	for attempt := 1; ; attempt++ {
		resp, err := h.do(ctx, by, c)
		if err != nil {
			return nil, nil, err
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
		resp.Body.Close()
		if err == nil && int64(len(data)) > limit && resp.StatusCode < http.StatusMultipleChoices {
			large := &tooLargeError{limit}
			return nil, nil, &Error{Op: c.op, Registry: h.name.RegistryStr(), Status: resp.StatusCode, Message: large.Error(), Err: large}
		}
		if err == nil {
			return resp, data, nil
		}
		if ctx.Err() != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.op, context.Cause(ctx))
		}
		failed := &Error{Op: c.op, Registry: h.name.RegistryStr(), Err: unwrapURL(err)}
		if attempt >= c.triesAfter(failed, h.client.opts.Attempts) {
			return nil, nil, failed
		}
		if err := h.pause(ctx, attempt, 0); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.op, err)
		}
	}
}

// tooLargeError is about an answer that was not read to its end.
type tooLargeError struct{ limit int64 }

func (e *tooLargeError) Error() string { return fmt.Sprintf("what it sent is over %d bytes", e.limit) }
