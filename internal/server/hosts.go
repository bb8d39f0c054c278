package server

import (
	"context"

	"github.com/drayage/drayage/internal/hosts"
)

// makeHosts knows what operators said of registries, before the first push begins.
func (d *Daemon) makeHosts(ctx context.Context) (*hosts.Hosts, error) {
	var configured []string
	for _, r := range d.config.Registries {
		configured = append(configured, r.Host)
	}
	known := hosts.New(hosts.Options{States: d.store, Client: d.registries, Configured: configured, Logger: d.logger})
	return known, known.Refresh(ctx)
}
