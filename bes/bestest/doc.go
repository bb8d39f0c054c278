// Package bestest holds both ends of a build event stream as tests want them: a
// [Bazel] that uploads as the real one does, and a [Backend] that does as it is told.
//
//	backend, err := bestest.StartBackend(bestest.Script{Acknowledge: bestest.AtEnd})
//	…
//	bazel := bestest.Bazel{Target: relay, Events: events}
//	outcome := bazel.Run(ctx)
//	// outcome.Exit is what Bazel would have exited with;
//	// backend.Stored(bazel.InvocationID) is what arrived.
package bestest
