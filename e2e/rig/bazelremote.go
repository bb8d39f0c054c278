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
}

// StartBazelRemote starts an empty remote cache.
func StartBazelRemote(t T) *BazelRemote {
	t.Helper()
	dir := TempDir(t)
	address, http := FreeAddress(t), FreeAddress(t)
	const gibibytes = 4
	p := start(t, dir, "bazel-remote", exec.Command(Tool(t, "bazel-remote"),
		"--dir", dir+"/blobs", "--max_size", strconv.Itoa(gibibytes),
		"--grpc_address", address, "--http_address", http, "--access_log_level", "none"))
	p.ready(t, answering("http://"+http+"/status"))
	p.ready(t, listening(address))
	return &BazelRemote{Process: p, Address: address, GRPC: "grpc://" + address, HTTP: "http://" + http, Dir: dir + "/blobs"}
}
