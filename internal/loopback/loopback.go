// Package loopback tells whether a host is this machine itself, by its name.
package loopback

import (
	"net"
	"net/netip"
	"strings"
)

// Is tells whether a host is this machine's loopback interface: an address of it, or
// localhost and what is below it (RFC 6761, section 6.3). The host may have a port, and
// an IPv6 address may be in brackets. No name is resolved.
func Is(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().IsLoopback()
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
