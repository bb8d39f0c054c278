// Package rig starts the real parts of a haul on free loopback ports, for the
// end-to-end tests and for the demo: Bazel, a remote cache, registries, a BES
// backend that records, and drayaged itself.
//
// Everything that rig starts belongs to a [T] and is stopped when T ends, by its
// own process handle. Every wait is bounded. The output of a part is kept in a
// file, and shown only when T fails.
//
//	func TestHaul(t *testing.T) {
//		cache := rig.StartBazelRemote(t)
//		registry := rig.StartRegistry(t)
//		daemon := rig.StartDrayaged(t, rig.DaemonConfig{CAS: cache.GRPC})
//		workspace := rig.NewWorkspace(t, registry.Host)
//		workspace.Bazel(t, "build", "//...", "--bes_backend="+daemon.BES, "--remote_cache="+cache.GRPC)
//		daemon.WaitIdle(t)
//	}
//
// The programs come from the cache folder that `make tools` fills; see
// e2e/setup.
package rig
