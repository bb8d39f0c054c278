package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// maxRedirects bounds the hops of one request.
const maxRedirects = 5

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirect makes the request again where the registry sends it on to, if that is the
// registry itself. It leaves to the caller a redirect to elsewhere that the call accepts.
func (h *host) redirect(ctx context.Context, t *try, next sender) (*http.Response, error) {
	for {
		resp, err := next(ctx, t)
		if err != nil || !isRedirect(resp.StatusCode) {
			return resp, err
		}
		address, err := h.redirectOf(t, resp)
		if err != nil {
			if _, elsewhere := errors.AsType[*ElsewhereError](err); elsewhere && t.accepts(resp.StatusCode) {
				return resp, nil
			}
			resp.Body.Close()
			return nil, err
		}
		drain(resp)
		t.url = address
		t.redirected++
	}
}

// redirectOf is the address that a request goes on to, with its method, its body and
// its credentials: one of the registry itself. The error says why there is none.
func (h *host) redirectOf(t *try, resp *http.Response) (address string, err error) {
	u, err := h.location(t.op, answerOf(resp))
	if err != nil {
		return "", err
	}
	if t.stored && !inAPI(u) {
		return "", &ElsewhereError{registry: h.name.RegistryStr(), Host: h.client.tell(u.Host, false)}
	}
	refused := &Error{Op: t.op, registry: h.name.RegistryStr(), Status: resp.StatusCode}
	reads := t.method == http.MethodGet || t.method == http.MethodHead
	kept := resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
	switch {
	case u.String() == t.url && strings.HasPrefix(t.url, "http:") && strings.HasPrefix(resp.Header.Get("Location"), "https:"):
		refused.message = "it requires HTTPS: remove plain HTTP from its settings"
	case u.String() == t.url:
		refused.message = "it redirects the request to the same address"
	case t.redirected >= maxRedirects:
		refused.message = "it redirects the request too often"
	// Only 307 and 308 say that a write stays a write (RFC 9110, section 15.4). What
	// leads to another place of the API is meant so all the same.
	case !reads && !kept && (resp.StatusCode == http.StatusSeeOther || !inAPI(u)):
		refused.message = "it redirects a write to a page: is there a proxy with a login in front of it?"
	default:
		return u.String(), nil
	}
	return "", refused
}

func inAPI(u *url.URL) bool { return strings.HasPrefix(u.Path, "/v2/") }
