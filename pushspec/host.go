package pushspec

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var hostLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$`)

// CheckRegistry returns an error unless text is the host of a registry, as in the
// references of images: a name with a dot, an IP address, or localhost. With a port it
// may be any name. A name without a dot and without a port would be read as a part of
// the repository's name.
func CheckRegistry(text string) error {
	const want = "must be a host such as ghcr.io, localhost:5000 or registry:5000"
	fail := func(reason string) error { return fmt.Errorf("%q %s: it %s", clip(text), want, reason) }
	switch {
	case strings.Contains(text, "://"):
		return fail("has a scheme")
	case strings.Contains(text, "/"):
		return fail("has a slash; the part after the slash belongs to the repository's name")
	case strings.Contains(text, "@"):
		return fail("has an at sign; credentials must not be in the name, the daemon has them")
	case text != strings.ToLower(text):
		return fail("has upper case letters")
	}
	host, port, err := splitHost(text)
	if err != nil {
		return fail(err.Error())
	}
	if strings.HasPrefix(text, "[") {
		if address, err := netip.ParseAddr(host); err != nil || address.Zone() != "" {
			return fail("has brackets without an IP address in them")
		}
		return nil
	}
	for label := range strings.SplitSeq(host, ".") {
		if !hostLabel.MatchString(label) {
			return fail("is not a host name")
		}
	}
	if looksLikeAddress(host) {
		return fail("looks like an IP address, but is not written as one")
	}
	if port == "" && host != "localhost" && !strings.Contains(host, ".") {
		return fail("has neither a dot nor a port, so clients would read it as a part of the repository's name")
	}
	return nil
}

// looksLikeAddress tells whether resolvers may take a host for an IP address that is not
// one as it is written: "2130706433", "0x7f.1" (URL Standard, "ends in a number").
func looksLikeAddress(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	last := host[strings.LastIndex(host, ".")+1:]
	return last != "" && (strings.HasPrefix(last, "0x") || strings.Trim(last, "0123456789") == "")
}

// splitHost splits off the port, which is "" if there is none.
func splitHost(text string) (host, port string, err error) {
	if bare, found := strings.CutSuffix(text, "]"); found && strings.HasPrefix(bare, "[") {
		return bare[1:], "", nil
	}
	if !strings.Contains(text, ":") {
		return text, "", nil
	}
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", errors.New("is not a host with a port; write an IPv6 address in brackets")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
		return "", "", fmt.Errorf("has the port %q, which must be 1 to 65535", clip(port))
	}
	return host, port, nil
}
