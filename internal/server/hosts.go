package server

import (
	"context"

	"github.com/drayage/drayage/internal/dispatch"
)

// makeHosts knows what operators said of registries, before the first push begins.
func (d *Daemon) makeHosts(ctx context.Context) (*dispatch.Hosts, error) {
	var configured []string
	for _, r := range d.config.Registries {
		configured = append(configured, r.Host)
	}
	hosts := dispatch.NewHosts(dispatch.HostsOptions{States: d.store, Client: d.registries, Configured: configured, Logger: d.logger})
	return hosts, hosts.Refresh(ctx)
}
