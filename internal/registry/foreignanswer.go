package registry

import (
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// foreignAnswer says what is wrong with an answer that no registry gives: something before
// it answered in its place. Nothing was carried out then, and trying again may help.
func (h *host) foreignAnswer(op string, resp *http.Response) error {
	var why string
	switch {
	case resp.StatusCode < http.StatusOK:
		// 101 hands the connection over: there is no body to read.
		why = fmt.Sprintf("%d %s came in its place", resp.StatusCode, http.StatusText(resp.StatusCode))
	case isPage(resp):
		why = fmt.Sprintf("an HTML page came in its place (%d): is there a proxy, or a login, before it?", resp.StatusCode)
	default:
		return nil
	}
	return &Error{Op: op, Registry: h.name.RegistryStr(), Err: foreignAnswerError(why)}
}

// foreignAnswerError is about an answer, and has nothing that came with it.
type foreignAnswerError string

func (e foreignAnswerError) Error() string { return string(e) }

// isPage tells whether a good answer is an HTML page that no registry made. Some call
// their empty answers HTML: these say in a header whose they are.
func isPage(resp *http.Response) bool {
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return false
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "text/html" && kind != "application/xhtml+xml" {
		return false
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, "Docker-") || strings.HasPrefix(name, "Oci-") || name == "Location" {
			return false
		}
	}
	return true
}
