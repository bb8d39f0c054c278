package registry

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// errNoLocation is about an answer that says to go on elsewhere, and not where.
var errNoLocation = errors.New("the answer has no usable Location")

// origin is where an address leads to, in the one form in which two are compared:
// in lower case, and with the port that is meant where none is written.
type origin struct{ scheme, host, port string }

func originOf(u *url.URL) origin {
	o := origin{
		scheme: strings.ToLower(u.Scheme),
		host:   strings.TrimSuffix(strings.ToLower(u.Hostname()), "."),
		port:   u.Port(),
	}
	if o.port == "" {
		o.port = defaultPort(o.scheme)
	}
	return o
}

func defaultPort(scheme string) string {
	switch scheme {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
}

// same tells whether two origins are one registry. A registry behind a proxy that
// ends TLS may not know that it is spoken to over TLS: the scheme may differ, and
// then each may be at the default port of its own.
func (o origin) same(other origin) bool {
	if o.host != other.host || other.port == "" {
		return false
	}
	return o.port == other.port || o.port == defaultPort(o.scheme) && other.port == defaultPort(other.scheme)
}

// own is the address that an answer's reference leads to, if that is the registry
// itself: neither an image nor credentials go to wherever an answer points.
func (h *host) own(reference string, asked *url.URL) (*url.URL, error) {
	u, here, err := within(reference, asked)
	if err == nil && !here {
		return nil, &ElsewhereError{registry: h.name.RegistryStr(), Host: h.client.tell(u.Host, false)}
	}
	return u, err
}

// within is the address that a reference leads to from the one that was asked, and
// tells whether that is the same registry. Path and query stay as they are, byte for
// byte: registries sign them.
func within(reference string, asked *url.URL) (u *url.URL, here bool, err error) {
	u, err = asked.Parse(reference)
	if err != nil || reference == "" || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, false, errNoLocation
	}
	if !originOf(asked).same(originOf(u)) {
		return u, false, nil
	}
	u.Scheme, u.Host = asked.Scheme, asked.Host
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	// Nothing else that an address may hold would break the request's first line.
	u.RawQuery = strings.ReplaceAll(u.RawQuery, " ", "%20")
	return u, true, nil
}

// withQuery adds to an address's query what is already encoded, and leaves the rest
// of it alone.
func withQuery(u *url.URL, more string) string {
	joined := *u
	if joined.RawQuery != "" && !strings.HasSuffix(joined.RawQuery, "&") {
		joined.RawQuery += "&"
	}
	joined.RawQuery += more
	return joined.String()
}

// location is the answer's Location, where that is on the registry itself.
func (h *host) location(op string, a *answer) (*url.URL, error) {
	u, err := h.own(a.header.Get("Location"), a.asked)
	if err == errNoLocation { //nolint:errorlint // it is never wrapped
		return nil, &Error{Op: op, registry: h.name.RegistryStr(), Status: a.status, message: errNoLocation.Error()}
	}
	return u, err
}

// ElsewhereError says that a registry sends an upload to another host, where
// nothing was sent.
type ElsewhereError struct {
	registry string
	Host     string
}

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("registry %s redirects to %s, and the redirect was not followed", e.registry, e.Host)
}
