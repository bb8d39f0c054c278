package rig

import (
	"net"
	"sync"
)

// givenAddresses are those that [FreeAddress] has given out in this process.
var givenAddresses sync.Map

// FreeAddress is a loopback address that nobody listens on, and that no other test
// of this process is given. The port stays free but for chance: ports are given out
// by the kernel in no order.
func FreeAddress(t T) string {
	t.Helper()
	for {
		address, err := unusedAddress()
		if err != nil {
			t.Fatalf("find a free port: %v", err)
		}
		if _, given := givenAddresses.LoadOrStore(address, true); !given {
			return address
		}
	}
}

func unusedAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
