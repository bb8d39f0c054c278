package hosts

import (
	"context"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/store"
)

// wake has jobs come back that waited for a registry which is open: all, or one while the
// registry asks for patience and a request is to find out whether that is still so.
func (h *Hosts) wake(ctx context.Context) error {
	waits, err := h.options.States.RegistryWaits(ctx)
	if err != nil {
		return err
	}
	paused := h.paused()
	h.mu.Lock()
	first := !h.looked
	h.looked = true
	h.mu.Unlock()
	for _, wait := range waits {
		if h.mode(wait.Registry) != store.RegistryOpen {
			continue
		}
		which := store.Waiters{Here: wait.Here}
		status, isPaused := paused[wait.Registry]
		switch {
		case isPaused && status.TrialDue:
			which = store.Waiters{Most: 1}
		case isPaused, !wait.Here && !first:
			continue
		}
		if _, err := h.options.States.WakeWaiting(ctx, wait.Registry, which); err != nil {
			return err
		}
	}
	return nil
}

// paused are the registries that asked this daemon for patience.
func (h *Hosts) paused() map[string]registry.HostStatus {
	paused := map[string]registry.HostStatus{}
	for _, status := range h.options.Client.Statuses() {
		if !status.Pause.Until.IsZero() {
			paused[status.Registry] = status
		}
	}
	return paused
}
