package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/drayage/drayage/internal/registry/pacer"
)

// pace waits until a request may go, and tells the pacer how it went. It leaves to the
// next steps what is done in the slot that the request then has.
func (h *host) pace(ctx context.Context, t *try, next sender) (*http.Response, error) {
	slot, err := h.pacer.Acquire(ctx, t.requestSize, t.by.Invocation)
	if long, ok := errors.AsType[*pacer.TooLongError](err); ok {
		// As if the registry had been asked: that is what it would say.
		return nil, &Error{Op: t.op, registry: h.name.RegistryStr(), Status: http.StatusTooManyRequests, RetryAfter: long.Wait, pause: &long.Pause}
	}
	if errors.Is(err, pacer.ErrBlocked) {
		return nil, fmt.Errorf("%s: %w", t.op, &BlockedError{Registry: h.name.RegistryStr()})
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.op, err)
	}
	answer := pacer.Answer{Op: t.op, Repository: t.used.repository}
	defer func() { slot.Release(answer) }()
	resp, err := next(ctx, t)
	if err != nil {
		return nil, err
	}
	answer.Status = resp.StatusCode
	answer.After, answer.Asked = retryAfter(resp, h.now())
	return resp, nil
}

// BlockedError is a request that was not sent, since the registry is blocked.
type BlockedError struct{ Registry string }

func (e *BlockedError) Error() string {
	return "registry " + e.Registry + " was not asked: an operator has blocked it (drayage registries open " + e.Registry + ")"
}
