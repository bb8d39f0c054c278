package rig

import (
	"net"
	"strconv"
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

func port(t T, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatalf("address %s: %v", address, err)
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("address %s: %v", address, err)
	}
	return number
}
