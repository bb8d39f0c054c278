package rig

import (
	"net"
)

// FreeAddress is a loopback address that nobody listens on. The port stays free
// but for chance: ports are given out by the kernel in no order.
func FreeAddress(t T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
