package registry

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// checkForeign says what is wrong with an answer that no registry gives: something in front
// of it answered. Nothing was carried out then, and trying again may help.
func (h *host) checkForeign(op string, resp *http.Response) error {
	var why string
	switch {
	case resp.StatusCode < http.StatusOK:
		// 101 hands the connection over: there is no body to read.
		why = fmt.Sprintf("%d %s came instead", resp.StatusCode, http.StatusText(resp.StatusCode))
	case isPage(resp):
		why = fmt.Sprintf("an HTML page came instead (%d): is there a proxy or a login page in front of it?", resp.StatusCode)
	default:
		return nil
	}
	return &Error{Op: op, registry: h.name.RegistryStr(), err: foreignAnswer(why)}
}

// errForeignAnswer marks an answer that did not come from the registry.
var errForeignAnswer = errors.New("something else answered")

// foreignAnswer is the trouble with an answer, and has nothing that came with it.
func foreignAnswer(why string) *trouble {
	return &trouble{text: "did not answer; " + why, err: errForeignAnswer}
}

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
