package hosts

import (
	"cmp"
	"context"
	"slices"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/store"
)

// Status is how things stand with one registry.
type Status struct {
	registry.HostStatus
	State store.RegistryState
	// Pushes counts those that are under way here, Jobs those that wait, for every daemon.
	Pushes, Jobs int
}

// Statuses are the registries that this daemon knows, in the order of their names: those of
// the configuration, those that it spoke to, those of which an operator said something, and
// those that jobs wait for.
func (h *Hosts) Statuses(ctx context.Context) ([]Status, error) {
	if err := h.Refresh(ctx); err != nil {
		return nil, err
	}
	waits, err := h.options.States.RegistryWaits(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]*Status{}
	of := func(host string) *Status {
		if all[host] == nil {
			all[host] = &Status{HostStatus: registry.HostStatus{Registry: host}, State: store.RegistryState{Registry: host, Mode: store.RegistryOpen}}
		}
		return all[host]
	}
	for _, name := range h.options.Configured {
		if host, err := registry.HostName(name); err == nil {
			of(host)
		}
	}
	for _, status := range h.options.Client.Statuses() {
		of(status.Registry).HostStatus = status
	}
	for _, wait := range waits {
		of(wait.Registry).Jobs += wait.Jobs
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for host, state := range h.states {
		of(host).State = state
	}
	list := make([]Status, 0, len(all))
	for host, status := range all {
		status.Pushes = len(h.hauls[host])
		list = append(list, *status)
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Registry, b.Registry) })
	return list, nil
}
