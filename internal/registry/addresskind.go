package registry

import (
	"net/netip"
	"strings"
)

// innerNetworks are those whose addresses not everybody can reach, or where hosts answer to
// nobody but this machine (IANA's registries of special-purpose addresses).
var innerNetworks = []struct {
	kind     string
	networks []netip.Prefix
}{
	{"an address of this machine", prefixes("127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128")},
	// 192.0.0.192 and 168.63.129.16 are services of clouds for their machines, as is
	// 169.254.169.254, and 100.100.100.200 of what is private below.
	{"a link-local address, or that of a cloud's metadata service", prefixes("169.254.0.0/16", "fe80::/10", "192.0.0.0/24", "168.63.129.16/32")},
	{"an address of a private network", prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15",
		"fc00::/7", "fec0::/10", "64:ff9b:1::/48")},
	{"a multicast address", prefixes("224.0.0.0/4", "ff00::/8")},
	{"a reserved address", prefixes("240.0.0.0/4", "::/96", "100::/64", "2001::/32")},
}

func prefixes(list ...string) []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range list {
		networks = append(networks, netip.MustParsePrefix(text))
	}
	return networks
}

// Addresses of IPv6 that lead to one of IPv4, which is within them from a byte on: NAT64
// (RFC 6052) and 6to4 (RFC 3056).
var translated = []struct {
	network netip.Prefix
	from    int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

// addressKind says what an address is that is not public, or "".
func addressKind(address netip.Addr) string {
	// A network contains no address with a zone.
	address = address.WithZone("").Unmap()
	for _, t := range translated {
		if t.network.Contains(address) {
			bytes := address.As16()
			address = netip.AddrFrom4([4]byte(bytes[t.from : t.from+4]))
		}
	}
	for _, inner := range innerNetworks {
		for _, network := range inner.networks {
			if network.Contains(address) {
				return inner.kind
			}
		}
	}
	return ""
}

// isInternal tells whether a host is an address that other networks do not have. What
// looks like an address and is not written like one ("2130706433", "0x7f.1") is taken for
// such.
func isInternal(host string) bool {
	host, _, _ = strings.Cut(host, "%")
	if address, err := netip.ParseAddr(host); err == nil {
		return addressKind(address) != ""
	}
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndex(host, ".")+1:])
	return last == "" || strings.HasPrefix(last, "0x") || strings.Trim(last, "0123456789") == ""
}
