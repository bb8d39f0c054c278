package bes

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// viaHeader names the relays that a call came through.
const viaHeader = "x-drayage-via"

// errLoop ends a call that came back to the relay which sent it: through a load
// balancer, say, which no look at an address can tell.
var errLoop = status.Error(codes.FailedPrecondition,
	"the BES relay received what it had forwarded: the address of one of its backends leads back to the relay; correct that address")

// looped says whether a call came through this very relay.
func (s *Service) looped(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	return slices.Contains(md.Get(viaHeader), s.instance)
}

// refuseSelf refuses a backend whose address is one that this process serves on.
func refuseSelf(backend string, listen []string) error {
	for _, own := range listen {
		if sameAddress(backend, own) {
			return fmt.Errorf("address %s is the relay's own, because it serves on %s: give the address of the BES backend that is to receive the events", backend, own)
		}
	}
	return nil
}

// lookupTimeout is how long the start waits for a name server, for each backend.
const lookupTimeout = 2 * time.Second

// sameAddress says whether a client that dials the backend's address reaches what
// listens on own. What cannot be resolved is not the same: a name server that is away
// must not stop the start.
func sameAddress(backend, own string) bool {
	if path, ok := strings.CutPrefix(backend, "unix:"); ok {
		return strings.TrimPrefix(path, "//") == strings.TrimPrefix(strings.TrimPrefix(own, "unix:"), "//")
	}
	u, err := url.Parse(backend)
	if err != nil {
		return false
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(own, "tcp:"))
	if err != nil || port != u.Port() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", u.Hostname())
	if err != nil {
		return false
	}
	listening := net.ParseIP(host)
	for _, ip := range ips {
		switch {
		case listening != nil && !listening.IsUnspecified():
			if ip.Equal(listening) {
				return true
			}
		case ip.IsLoopback() || isLocal(ip):
			return true
		}
	}
	return false
}

func isLocal(ip net.IP) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, address := range addresses {
		if n, ok := address.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}
