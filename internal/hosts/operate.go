package hosts

import (
	"context"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/store"
)

// SetMode says whether pushes may go to a registry, here at once and with all daemons that
// share the database within a second or so. The error is a [*NameError] if there can be no
// such registry.
func (h *Hosts) SetMode(ctx context.Context, name string, mode store.RegistryMode, client string) error {
	host, err := Name(name)
	if err != nil {
		return err
	}
	if err := h.options.States.SetRegistryMode(ctx, host, mode, client); err != nil {
		return err
	}
	return h.Refresh(ctx)
}

// Lift ends the pauses of a registry, here at once and with all daemons that share the
// database within a second or so, and has the jobs come back that waited. It tells whether
// there was a pause here.
func (h *Hosts) Lift(ctx context.Context, name, client string) (paused bool, err error) {
	host, err := Name(name)
	if err != nil {
		return false, err
	}
	if err := h.options.States.LiftPauses(ctx, host, client); err != nil {
		return false, err
	}
	paused = h.options.Client.Lift(host)
	if err := h.Refresh(ctx); err != nil {
		return paused, err
	}
	if h.mode(host) == store.RegistryOpen {
		_, err = h.options.States.WakeWaiting(ctx, host, store.Waiters{})
	}
	return paused, err
}

// LiftFor ends the pauses of the registries that selected jobs wait for. It returns which
// registries are closed, so that their jobs wait all the same.
func (h *Hosts) LiftFor(ctx context.Context, selection store.Selection, client string) (closed []string, err error) {
	hosts, err := h.options.States.WaitedFor(ctx, selection)
	if err != nil {
		return nil, err
	}
	for _, host := range hosts {
		if h.mode(host) != store.RegistryOpen {
			closed = append(closed, host)
			continue
		}
		if err := h.options.States.LiftPauses(ctx, host, client); err != nil {
			return nil, err
		}
		h.options.Client.Lift(host)
	}
	return closed, h.Refresh(ctx)
}

// NameError is a name that is no registry's.
type NameError struct{ err error }

func (e *NameError) Error() string { return e.err.Error() }

// Name is the name by which a registry is known: Docker Hub's many are one. The error
// is a [*NameError].
func Name(name string) (string, error) {
	host, err := registry.HostName(name)
	if err != nil {
		return "", &NameError{err}
	}
	return host, nil
}
