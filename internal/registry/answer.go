package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/dustin/go-humanize"
)

// answer is an answer that is complete, or of whose body no more is wanted.
type answer struct {
	status int
	header http.Header
	// asked is the address that gave it.
	asked *url.URL
	body  []byte
}

func answerOf(resp *http.Response) *answer {
	return &answer{status: resp.StatusCode, header: resp.Header, asked: resp.Request.URL}
}

// request makes a request of whose answer the body is not wanted.
func (h *host) request(ctx context.Context, by Caller, c call) (*answer, error) {
	resp, err := h.do(ctx, by, c)
	if err != nil {
		return nil, err
	}
	drain(resp)
	return answerOf(resp), nil
}

// read makes a request and reads its answer, which must not be over the limit in bytes.
// An answer that breaks off is asked for again.
func (h *host) read(ctx context.Context, by Caller, c call, limit int64) (*answer, error) {
	for attempt := 1; ; attempt++ {
		resp, err := h.do(ctx, by, c)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
		resp.Body.Close()
		if err == nil && int64(len(data)) > limit && resp.StatusCode < http.StatusMultipleChoices {
			large := &tooLargeError{limit}
			return nil, &Error{Op: c.op, registry: h.name.RegistryStr(), Status: resp.StatusCode, message: large.Error(), err: large}
		}
		if err == nil {
			a := answerOf(resp)
			a.body = data
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", c.op, context.Cause(ctx))
		}
		failed := h.brokeOff(c.op, err)
		if attempt >= c.triesAfter(failed, h.client.opts.Attempts) {
			return nil, failed
		}
		if err := h.pause(ctx, attempt, 0); err != nil {
			return nil, fmt.Errorf("%s: %w", c.op, err)
		}
	}
}

// tooLargeError is about an answer that was not read to its end.
type tooLargeError struct{ limit int64 }

func (e *tooLargeError) Error() string {
	return "its answer is larger than " + humanize.IBytes(uint64(e.limit))
}
