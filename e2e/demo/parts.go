package main

import "github.com/drayage/drayage/e2e/rig"

// parts are the servers of the demo. What talks to one of them goes through a
// meter of its own.
type parts struct {
	daemon *rig.Daemon
	// bazelCache and daemonCache lead to the cache, registry to the registry.
	bazelCache, daemonCache, registry *rig.Meter
}

func startParts(t rig.T, s *screen) parts {
	rig.Drayaged(t) // what cannot be built need not start the others
	var p parts
	cache := rig.StartBazelRemote(t)
	p.bazelCache = rig.StartMeter(t, cache.Address)
	p.daemonCache = rig.StartMeter(t, cache.Address)
	registry := rig.StartRegistry(t)
	p.registry = rig.StartMeter(t, registry.Host)
	p.daemon = rig.StartDrayaged(t, rig.DaemonConfig{CAS: "grpc://" + p.daemonCache.Address})
	s.table([][]string{
		{"the remote cache", "bazel-remote", "grpc://" + p.bazelCache.Address},
		{"the registry", "distribution", "http://" + p.registry.Address},
		{"drayaged, for Bazel", "", p.daemon.BES},
		{"drayaged, for you", "", p.daemon.URL},
	})
	return p
}

func showLegs(s *screen, p parts) {
	leg := func(from, to string, count int64) []string {
		return []string{from, "->", to, bytesOf(count)}
	}
	s.table([][]string{
		leg("Bazel", "cache", p.bazelCache.Sent.Load()),
		leg("cache", "Bazel", p.bazelCache.Received.Load()),
		leg("cache", "drayaged", p.daemonCache.Received.Load()),
		leg("drayaged", "registry", p.registry.Sent.Load()),
	})
	s.linef("")
	s.linef("Layers went from the cache to the registry; the machine that built downloaded none.")
}
