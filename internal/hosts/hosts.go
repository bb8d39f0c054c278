// Package hosts knows which registries pushes may go to: operators drain and block them, and
// some ask for patience. It has the jobs come back that wait for one.
package hosts

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/store"
)

const (
	// interval is how often a daemon looks at what operators said of registries, and
	// at which jobs wait for them.
	interval = time.Second
	// pause is when a job comes back that waits for a registry which is drained or
	// blocked, if nobody opens it before.
	pause = 15 * time.Minute
)

// errBlocked ends a haul to a registry that an operator has blocked. The job waits.
var errBlocked = errors.New("the registry is blocked")

// States is where what operators said of registries is kept, for all daemons that
// share a database, and which jobs wait for them.
type States interface {
	RegistryStates(ctx context.Context) ([]store.RegistryState, error)
	SetRegistryMode(ctx context.Context, registry string, mode store.RegistryMode, client string) error
	LiftPauses(ctx context.Context, registry, client string) error
	RegistryWaits(ctx context.Context) ([]store.RegistryWait, error)
	WakeWaiting(ctx context.Context, registry string, which store.Waiters) (int, error)
	WaitedFor(ctx context.Context, selection store.Selection) ([]string, error)
}

// Client speaks to registries.
type Client interface {
	Statuses() []registry.HostStatus
	Lift(registry string) bool
	Block(registry string, blocked bool) error
}

// Options are what [Hosts] work with.
type Options struct {
	States States
	Client Client
	// Configured are the hosts that the configuration names.
	Configured []string
	Logger     zerolog.Logger
}

// Hosts are the registries: which of them pushes may go to, and what waits for them. It is
// safe for concurrent use.
type Hosts struct {
	options Options

	mu     sync.Mutex
	states map[string]store.RegistryState
	// hauls are those under way, by registry; each is called with why it has to end.
	hauls map[string]map[*context.CancelCauseFunc]bool
	// looked says that the jobs which a daemon before this one had wait were woken.
	looked bool
}

// New makes them.
func New(options Options) *Hosts {
	return &Hosts{options: options, states: map[string]store.RegistryState{}, hauls: map[string]map[*context.CancelCauseFunc]bool{}}
}

// Run does what operators say of registries, and has jobs come back that waited for one,
// until ctx ends.
func (h *Hosts) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := h.Refresh(ctx); err != nil && ctx.Err() == nil {
			h.options.Logger.Warn().Err(err).Msg("cannot look at what operators said of registries")
		}
		if err := h.wake(ctx); err != nil && ctx.Err() == nil {
			h.options.Logger.Warn().Err(err).Msg("cannot have jobs come back that wait for registries")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Refresh looks at what operators said, and does it.
func (h *Hosts) Refresh(ctx context.Context) error {
	list, err := h.options.States.RegistryStates(ctx)
	if err != nil {
		return err
	}
	for _, state := range list {
		if err := h.heed(state); err != nil {
			return err
		}
	}
	return nil
}

// heed does what an operator said of a registry.
func (h *Hosts) heed(state store.RegistryState) error {
	h.mu.Lock()
	before, known := h.states[state.Registry]
	h.states[state.Registry] = state
	h.mu.Unlock()
	if known && state.Lifted.After(before.Lifted) && h.options.Client.Lift(state.Registry) {
		h.options.Logger.Info().Str("registry", state.Registry).Msg("the pause of the registry was lifted")
	}
	if before.Mode == state.Mode || !known && state.Mode == store.RegistryOpen {
		return nil
	}
	h.options.Logger.Info().Str("registry", state.Registry).Str("client", state.Client).Msg("the registry is " + string(state.Mode))
	blocked := state.Mode == store.RegistryBlocked
	if blocked || before.Mode == store.RegistryBlocked {
		if err := h.options.Client.Block(state.Registry, blocked); err != nil {
			return err
		}
	}
	if blocked {
		h.endHauls(state.Registry)
	}
	return nil
}

// endHauls ends the hauls that are under way to a registry.
func (h *Hosts) endHauls(host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for end := range h.hauls[host] {
		(*end)(errBlocked)
	}
}

func (h *Hosts) mode(host string) store.RegistryMode {
	h.mu.Lock()
	defer h.mu.Unlock()
	return cmp.Or(h.states[host].Mode, store.RegistryOpen)
}
