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

// CheckRegistry says whether text is the host of a registry, as references of images
// have it: a name with a dot, an address, or localhost; with a port it may be any name.
// Without a dot or a port it would be read as a part of the repository's name.
func CheckRegistry(text string) error {
	const want = "must be a host such as ghcr.io, localhost:5000 or registry:5000"
	fail := func(reason string) error { return fmt.Errorf("%q %s: %s", clip(text), want, reason) }
	switch {
	case strings.Contains(text, "://"):
		return fail("it has a scheme")
	case strings.Contains(text, "/"):
		return fail("it has a slash; the part after the slash belongs to the repository's name")
	case strings.Contains(text, "@"):
		return fail("it has an at sign; credentials come from the daemon's settings, not from the name")
	case text != strings.ToLower(text):
		return fail("it has upper case letters")
	}
	host, port, err := splitHost(text)
	if err != nil {
		return fail(err.Error())
	}
	if strings.HasPrefix(text, "[") {
		if _, err := netip.ParseAddr(host); err != nil {
			return fail("the text in brackets is not an IPv6 address")
		}
		return nil
	}
	for label := range strings.SplitSeq(host, ".") {
		if !hostLabel.MatchString(label) {
			return fail("it is not a host name")
		}
	}
	if port == "" && host != "localhost" && !strings.Contains(host, ".") {
		return fail("it has neither a dot nor a port, so it would be read as a part of the repository's name")
	}
	return nil
}

// splitHost parts the port off, which is "" if there is none.
func splitHost(text string) (host, port string, err error) {
	if bare, found := strings.CutSuffix(text, "]"); found && strings.HasPrefix(bare, "[") {
		return bare[1:], "", nil
	}
	if !strings.Contains(text, ":") {
		return text, "", nil
	}
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", errors.New("it is not a host with a port; write IPv6 addresses in brackets")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
		return "", "", fmt.Errorf("its port is %q", clip(port))
	}
	return host, port, nil
}
