package rig

import (
	"os/exec"
	"strconv"
)

// BazelRemote is a remote cache.
type BazelRemote struct {
	*Process

	// Address is the HOST:PORT of its gRPC server, and GRPC the same as Bazel's
	// --remote_cache names it.
	Address, GRPC string
	// HTTP is the base URL of its HTTP server.
	HTTP string
	// Dir is where it keeps the blobs.
	Dir string

	home, program, http string
	flags               []string
}

// StartBazelRemote starts an empty remote cache, with more flags of bazel-remote's.
func StartBazelRemote(t T, flags ...string) *BazelRemote {
	t.Helper()
	home, address, http := TempDir(t), FreeAddress(t), FreeAddress(t)
	b := &BazelRemote{
		Address: address, GRPC: "grpc://" + address, HTTP: "http://" + http, Dir: home + "/blobs",
		home: home, program: Tool(t, "bazel-remote"), http: http, flags: flags,
	}
	b.run(t)
	return b
}

// Restart stops the cache and starts it again with other flags, on its addresses and
// with its blobs.
func (b *BazelRemote) Restart(t T, flags ...string) {
	t.Helper()
	b.Stop(t)
	b.flags = flags
	b.run(t)
}

func (b *BazelRemote) run(t T) {
	t.Helper()
	const gibibytes = 4
	b.Process = start(t, b.home, "bazel-remote", exec.Command(b.program, append([]string{
		"--dir", b.Dir, "--max_size", strconv.Itoa(gibibytes),
		"--grpc_address", b.Address, "--http_address", b.http, "--access_log_level", "none",
	}, b.flags...)...))
	b.ready(t, answering(b.HTTP+"/status"))
	b.ready(t, listening(b.Address))
}
