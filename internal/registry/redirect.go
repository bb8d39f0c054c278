package registry

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// maxRedirects bounds the hops of one request.
const maxRedirects = 5

// errNoLocation is about an answer that says to go on elsewhere, and not where.
var errNoLocation = errors.New("the answer has no usable Location")

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirect is the address that a request goes on to, with its method, its body and
// its credentials: one of the registry itself. The error says why there is none.
func (h *host) redirect(c call, resp *http.Response, hops int) (next string, err error) {
	u, err := h.location(c.op, resp)
	if err != nil {
		return "", err
	}
	if c.stored && !inAPI(u) {
		return "", &ElsewhereError{Registry: h.name.RegistryStr(), Host: h.client.tell(u.Host, false)}
	}
	refused := &Error{Op: c.op, Registry: h.name.RegistryStr(), Status: resp.StatusCode}
	reads := c.method == http.MethodGet || c.method == http.MethodHead
	kept := resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
	switch {
	case u.String() == c.url && strings.HasPrefix(c.url, "http:") && strings.HasPrefix(resp.Header.Get("Location"), "https:"):
		refused.Message = "it wants to be spoken to over HTTPS: take plain HTTP out of its settings"
	case u.String() == c.url:
		refused.Message = "it sends the request to where it already was"
	case hops >= maxRedirects:
		refused.Message = "it sends the request on for ever"
	// Only 307 and 308 say that a write stays a write (RFC 9110, section 15.4). What
	// leads to another place of the API is meant so all the same.
	case !reads && !kept && (resp.StatusCode == http.StatusSeeOther || !inAPI(u)):
		refused.Message = "it sends a write on to a page: is there a proxy with a login before it?"
	default:
		return u.String(), nil
	}
	return "", refused
}

func inAPI(u *url.URL) bool { return strings.HasPrefix(u.Path, "/v2/") }
