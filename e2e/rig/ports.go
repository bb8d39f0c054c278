package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

const (
	// firstPort and lastPort are the ports that tests are given. They lie below those
	// that kernels give to outgoing connections (32768 and up on Linux, 49152 and up
	// elsewhere), of which one can be taken between the look and the server's start.
	firstPort = 20000
	lastPort  = 32767

	// portTries bounds the ports that are tried.
	portTries = 1000
)

// givenAddresses are those that [FreeAddress] has given out in this process.
var givenAddresses sync.Map

// FreeAddress is a loopback address that nobody listens on, and that no other test
// of this process is given. Another process may be given it by chance, so one is drawn.
func FreeAddress(t T) string {
	t.Helper()
	var err error
	for range portTries {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort+1))
		if err = unused(address); err != nil {
			continue
		}
		if _, given := givenAddresses.LoadOrStore(address, true); !given {
			return address
		}
	}
	t.Fatalf("find a free port: none of %d tried, the last one with: %v", portTries, err)
	return ""
}

func unused(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return listener.Close()
}
