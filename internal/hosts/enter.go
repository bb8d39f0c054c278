package hosts

import (
	"context"
	"errors"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/store"
)

// Enter begins a haul to a registry. Its context ends with errBlocked as its cause when an
// operator blocks the registry. Leave has to be called when the haul is over. The error is
// a [*store.PostponeError] where no push may begin.
func (h *Hosts) Enter(ctx context.Context, host string) (hauling context.Context, leave func(), err error) {
	if h == nil {
		return ctx, func() {}, nil
	}
	host = canonical(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	if mode := h.states[host].Mode; mode == store.RegistryDrained || mode == store.RegistryBlocked {
		return nil, nil, &store.PostponeError{After: pause, Registry: host}
	}
	hauling, end := context.WithCancelCause(ctx)
	if h.hauls[host] == nil {
		h.hauls[host] = map[*context.CancelCauseFunc]bool{}
	}
	h.hauls[host][&end] = true
	return hauling, func() {
		end(nil)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.hauls[host], &end)
		if len(h.hauls[host]) == 0 {
			delete(h.hauls, host)
		}
	}, nil
}

// Closed is the wait of a job whose haul ended with err because a registry is blocked:
// its destination's or one that it reads from. It is nil for all other errors.
func Closed(hauling context.Context, host string, err error) error {
	blocked, ok := errors.AsType[*registry.BlockedError](err)
	switch {
	case ok:
		host = blocked.Registry
	case err == nil || !errors.Is(context.Cause(hauling), errBlocked):
		return nil
	}
	return &store.PostponeError{After: pause, Registry: canonical(host)}
}

// canonical is the name by which a registry is known, if it has one.
func canonical(host string) string {
	if known, err := registry.HostName(host); err == nil {
		return known
	}
	return host
}

// WaitsFor is the registry whose wish for patience a haul failed with, or "".
func WaitsFor(err error) string {
	if failed, ok := errors.AsType[*registry.Error](err); ok && failed.Throttled() && failed.RetryAfter > 0 {
		return failed.Host()
	}
	return ""
}
