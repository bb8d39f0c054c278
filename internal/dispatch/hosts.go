package dispatch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/internal/store"
)

const (
	// hostsInterval is how often a daemon looks at what operators said of registries, and
	// at which jobs wait for them.
	hostsInterval = time.Second
	// closedPause is when a job comes back that waits for a registry which is drained or
	// blocked, if nobody opens it before.
	closedPause = 15 * time.Minute
)

// errBlocked ends a haul to a registry that an operator has blocked. The job waits.
var errBlocked = errors.New("the registry is blocked")

// HostStates is where what operators said of registries is kept, for all daemons that
// share a database, and which jobs wait for them.
type HostStates interface {
	RegistryStates(ctx context.Context) ([]store.RegistryState, error)
	SetRegistryMode(ctx context.Context, registry string, mode store.RegistryMode, client string) error
	LiftPauses(ctx context.Context, registry, client string) error
	RegistryWaits(ctx context.Context) ([]store.RegistryWait, error)
	WakeWaiting(ctx context.Context, registry string, which store.Waiters) (int, error)
	WaitedFor(ctx context.Context, selection store.Selection) ([]string, error)
}

// HostClient speaks to registries.
type HostClient interface {
	Statuses() []registry.HostStatus
	Lift(registry string) bool
	Block(registry string, blocked bool) error
}

// HostsOptions are what [Hosts] work with.
type HostsOptions struct {
	States HostStates
	Client HostClient
	// Configured are the hosts that the configuration names.
	Configured []string
	Logger     zerolog.Logger
}

// Hosts are the registries: which of them pushes may go to, and what waits for them. It is
// safe for concurrent use.
type Hosts struct {
	options HostsOptions

	mu     sync.Mutex
	states map[string]store.RegistryState
	// hauls are those under way, by registry; each is called with why it has to end.
	hauls map[string]map[*context.CancelCauseFunc]bool
	// looked says that the jobs which a daemon before this one had wait were woken.
	looked bool
}

// NewHosts makes them.
func NewHosts(options HostsOptions) *Hosts {
	return &Hosts{options: options, states: map[string]store.RegistryState{}, hauls: map[string]map[*context.CancelCauseFunc]bool{}}
}

// Run does what operators say of registries, and has jobs come back that waited for one,
// until ctx ends.
func (h *Hosts) Run(ctx context.Context) {
	tick := time.NewTicker(hostsInterval)
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

func (h *Hosts) mode(host string) store.RegistryMode {
	h.mu.Lock()
	defer h.mu.Unlock()
	return cmp.Or(h.states[host].Mode, store.RegistryOpen)
}

// enter begins a haul to a registry. Its context ends with errBlocked as its cause when an
// operator blocks the registry. Leave has to be called when the haul is over. The error is
// a [*store.PostponeError] where no push may begin.
func (h *Hosts) enter(ctx context.Context, host string) (hauling context.Context, leave func(), err error) {
	if h == nil {
		return ctx, func() {}, nil
	}
	host = canonical(host)
	h.mu.Lock()
	defer h.mu.Unlock()
	if mode := h.states[host].Mode; mode == store.RegistryDrained || mode == store.RegistryBlocked {
		return nil, nil, &store.PostponeError{After: closedPause, Registry: host}
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

// closedBy is the wait of a job whose haul ended with err because a registry is blocked:
// its destination's or one that it reads from. It is nil for all other errors.
func closedBy(hauling context.Context, host string, err error) error {
	blocked, ok := errors.AsType[*registry.BlockedError](err)
	switch {
	case ok:
		host = blocked.Registry
	case err == nil || !errors.Is(context.Cause(hauling), errBlocked):
		return nil
	}
	return &store.PostponeError{After: closedPause, Registry: canonical(host)}
}

// canonical is the name by which a registry is known, if it has one.
func canonical(host string) string {
	if known, err := registry.HostName(host); err == nil {
		return known
	}
	return host
}

// waitsFor is the registry whose wish for patience a haul failed with, or "".
func waitsFor(err error) string {
	if failed, ok := errors.AsType[*registry.Error](err); ok && failed.Throttled() && failed.RetryAfter > 0 {
		return failed.Host()
	}
	return ""
}

// HostStatus is how things stand with one registry.
type HostStatus struct {
	registry.HostStatus
	State store.RegistryState
	// Pushes counts those that are under way here, Jobs those that wait, for every daemon.
	Pushes, Jobs int
}

// Statuses are the registries that this daemon knows, in the order of their names: those of
// the configuration, those that it spoke to, those of which an operator said something, and
// those that jobs wait for.
func (h *Hosts) Statuses(ctx context.Context) ([]HostStatus, error) {
	if err := h.Refresh(ctx); err != nil {
		return nil, err
	}
	waits, err := h.options.States.RegistryWaits(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]*HostStatus{}
	of := func(host string) *HostStatus {
		if all[host] == nil {
			all[host] = &HostStatus{HostStatus: registry.HostStatus{Registry: host}, State: store.RegistryState{Registry: host, Mode: store.RegistryOpen}}
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
	list := make([]HostStatus, 0, len(all))
	for host, status := range all {
		status.Pushes = len(h.hauls[host])
		list = append(list, *status)
	}
	slices.SortFunc(list, func(a, b HostStatus) int { return cmp.Compare(a.Registry, b.Registry) })
	return list, nil
}

// SetMode says whether pushes may go to a registry, here at once and with all daemons that
// share the database within a second or so. The error is a [*HostError] if there can be no
// such registry.
func (h *Hosts) SetMode(ctx context.Context, name string, mode store.RegistryMode, client string) error {
	host, err := HostName(name)
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
	host, err := HostName(name)
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

// HostError is a name that is no registry's.
type HostError struct{ err error }

func (e *HostError) Error() string { return e.err.Error() }

// HostName is the name by which a registry is known: Docker Hub's many are one. The error
// is a [*HostError].
func HostName(name string) (string, error) {
	host, err := registry.HostName(name)
	if err != nil {
		return "", &HostError{err}
	}
	return host, nil
}
