package server

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/hostsettings"
	"github.com/drayage/drayage/internal/httpserver"
	"github.com/drayage/drayage/internal/loopback"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// minStallLimit is a few times the interval at which daemons say that they are
// alive.
const minStallLimit = 3 * time.Second

// Check says what of the configuration cannot be, by its key.
func (c *Config) Check() error {
	for _, listener := range []struct{ key, address string }{{"listen", c.Listen}, {"http", c.HTTP}, {"cas_registry.listen", c.CASRegistry.Listen}} {
		if listener.address == "" && listener.key == "cas_registry.listen" {
			continue
		}
		host, _, err := net.SplitHostPort(listener.address)
		if err != nil {
			return fmt.Errorf("%s: %q must be HOST:PORT", listener.key, listener.address)
		}
		if !loopback.Is(host) && c.TLS.Cert == "" && !c.AllowPlaintext {
			return fmt.Errorf("%s: %s is not a loopback address, so others could have images pushed without TLS: "+
				"set tls.cert and tls.key, or set allow_plaintext: true if a proxy in front of the daemon does TLS", listener.key, listener.address)
		}
		if !loopback.Is(host) && c.Policy == nil {
			return fmt.Errorf("%s: %s is not a loopback address, so anyone who reaches it could push images: "+
				"set policy, which says who may push what", listener.key, listener.address)
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return errors.New("tls: cert and key must be set together")
	}
	if c.TLS.ClientCA != "" && c.TLS.Cert == "" {
		return errors.New("tls: client_ca also needs cert and key")
	}
	if _, err := c.Policy.admission(false); err != nil {
		return err
	}
	for i, b := range c.Backends {
		if slices.ContainsFunc(b.PassHeaders, func(name string) bool { return strings.EqualFold(name, tokenHeader) }) {
			return fmt.Errorf("backends[%d].pass_headers: %s must not be passed on: it holds the daemon's own token", i, tokenHeader)
		}
	}
	if c.CAS.Address == "" {
		return errors.New("cas.address: must be set, to the same cache as --remote_cache of the builds")
	}
	if c.Store == "" {
		return errors.New("store: must be set, to a file or a postgres:// URL")
	}
	for i, name := range c.Names {
		if err := httpserver.CheckName(name); err != nil {
			return fmt.Errorf("names[%d]: %w", i, err)
		}
	}
	if err := c.CASRegistry.check(c.Policy); err != nil {
		return err
	}
	if c.StallLimit < minStallLimit {
		return fmt.Errorf("stall_limit: %s must be at least %s: a healthy daemon would seem to have stalled", c.StallLimit, minStallLimit)
	}
	if r := c.Retention; r.Jobs == 0 || r.Invocations == 0 || r.Checkpoints == 0 || r.DeadLetters == 0 || r.Staged == 0 {
		return errors.New("retention: jobs, invocations, checkpoints, dead_letters and staged must not be 0; use a negative value to keep them forever")
	}
	if c.Workers < 1 {
		return fmt.Errorf("workers: %d must be at least 1", c.Workers)
	}
	if c.CAS.Grace < 0 {
		return fmt.Errorf("cas.grace: %s must not be negative", c.CAS.Grace)
	}
	if c.ShutdownGrace < 0 {
		return fmt.Errorf("shutdown_grace: %s must not be negative", c.ShutdownGrace)
	}
	if r := c.Relay; r.MaxStreams < 1 || r.ReplayBytes < 1 || r.ReplayBytesTotal < 1 || r.SpoolBytes < 1 || r.Linger <= 0 || r.DeliverTimeout <= 0 {
		return errors.New("relay: max_streams, replay_bytes, replay_bytes_total, spool_bytes, linger and deliver_timeout must be greater than 0")
	}
	if err := c.Limits.check(); err != nil {
		return err
	}
	if c.Hold.Limit <= 0 {
		return fmt.Errorf("hold.limit: %s must be greater than 0", c.Hold.Limit)
	}
	if c.Hold.AtLimit != holdFail && c.Hold.AtLimit != holdPass {
		return fmt.Errorf("hold.at_limit: %q must be %s or %s", c.Hold.AtLimit, holdFail, holdPass)
	}
	if err := c.Release.check(); err != nil {
		return err
	}
	for i, b := range c.Backends {
		if b.Address == "" {
			return fmt.Errorf("backends[%d].address: must be set", i)
		}
		if b.Mode != "" && b.Mode != modeBestEffort && b.Mode != modeRequired {
			return fmt.Errorf("backends[%d].mode: %q must be %s or %s", i, b.Mode, modeBestEffort, modeRequired)
		}
	}
	if err := c.Verify.check(); err != nil {
		return err
	}
	for i, w := range c.Webhooks {
		if w.Name == "" || w.URL == "" || w.SecretFile == "" {
			return fmt.Errorf("webhooks[%d]: name, url and secret_file must all be set", i)
		}
		for _, kind := range w.Events {
			if kind != store.EventPush && kind != store.EventInvocation && kind != store.EventDrift {
				return fmt.Errorf("webhooks[%d].events: %q must be %s, %s or %s", i, kind, store.EventPush, store.EventInvocation, store.EventDrift)
			}
		}
	}
	for i, host := range c.CreateRepositories {
		if _, _, ok := haul.AmazonHost(host); !ok {
			return fmt.Errorf("create_repositories[%d]: %q must be a private registry of Amazon's, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com: the daemon cannot create repositories elsewhere", i, host)
		}
	}
	if _, err := hostsettings.Options(c.Registries); err != nil {
		return err
	}
	if _, err := zerolog.ParseLevel(c.Log.Level); err != nil {
		return fmt.Errorf("log.level: %q must be debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "json" && c.Log.Format != "console" {
		return fmt.Errorf("log.format: %q must be json or console", c.Log.Format)
	}
	return nil
}

func (r Release) check() error {
	if _, err := pushspec.ParseGate(r.Gate); err != nil {
		return fmt.Errorf("release.gate: %w", err)
	}
	if len(r.Green) == 0 || slices.Contains(r.Green, "") {
		return errors.New("release.green: must name at least one exit code of Bazel, such as SUCCESS; with none, no build would end well")
	}
	if !orderKey.MatchString(r.OrderBy) {
		return fmt.Errorf("release.order_by: %q must be a key of the build metadata or of the workspace status, such as BUILD_NUMBER, or empty", r.OrderBy)
	}
	return nil
}

var orderKey = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)?$`)
