package registry

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/drayage/drayage/internal/registry/pacer"
	"github.com/drayage/drayage/pushspec"
)

// HostStatus is how things stand with one registry.
type HostStatus struct {
	// Registry is the host, as the client knows it: see [HostName].
	Registry string
	pacer.Status
	// TokenService is the host that asked for the pause, where that was not the registry.
	TokenService string
	// LastProgress is when the registry last took bytes or gave an answer that was not
	// one of distress, or zero.
	LastProgress time.Time
}

// HostName is the name by which the client knows a registry: see
// [pushspec.CanonicalRegistry].
func HostName(registry string) (string, error) {
	host, err := pushspec.CanonicalRegistry(registry)
	if err != nil {
		return "", fmt.Errorf("registry %w", err)
	}
	return host, nil
}

// canonicalHost is the canonical name of a host that an address has, or what it has.
func canonicalHost(hostport string) string {
	if host, err := pushspec.CanonicalRegistry(hostport); err == nil {
		return host
	}
	return hostport
}

// named is a registry by its canonical name.
func named(registry string) (name.Registry, error) {
	host, err := HostName(registry)
	if err != nil {
		return name.Registry{}, err
	}
	return name.NewRegistry(host, name.StrictValidation)
}

// Statuses are the registries that the client has spoken to, in the order of their names.
func (c *Client) Statuses() []HostStatus {
	c.mu.Lock()
	list := make([]HostStatus, 0, len(c.hosts))
	hosts := make([]*host, 0, len(c.hosts))
	for _, h := range c.hosts {
		hosts = append(hosts, h)
	}
	c.mu.Unlock()
	for _, h := range hosts {
		list = append(list, h.status())
	}
	slices.SortFunc(list, func(a, b HostStatus) int { return cmp.Compare(a.Registry, b.Registry) })
	return list
}

func (h *host) status() HostStatus {
	s := HostStatus{Registry: h.name.RegistryStr(), Status: h.pacer.Status()}
	if at := h.lastProgress.Load(); at != 0 {
		s.LastProgress = time.Unix(0, at)
	}
	if service, pause, due := h.auth.pausedService(); pause.Until.After(s.Pause.Until) {
		// With both paused, a trial needs both.
		s.TrialDue = due && (s.Pause == pacer.Pause{} || s.TrialDue)
		s.TokenService, s.Pause = service, pause
	}
	return s
}

// Lift ends the pause of a registry, and those of its token services. It tells whether
// there was one.
func (c *Client) Lift(registry string) bool {
	c.mu.Lock()
	h := c.hosts[registry]
	c.mu.Unlock()
	if h == nil {
		return false
	}
	paused := h.pacer.Lift()
	return h.auth.liftServices() || paused
}

// Block lets no request go to a registry until it is told otherwise: each is a
// [*BlockedError].
func (c *Client) Block(registry string, blocked bool) error {
	known, err := named(registry)
	if err != nil {
		return fmt.Errorf("block registry %s: %w", registry, err)
	}
	c.host(known).pacer.Block(blocked)
	return nil
}
