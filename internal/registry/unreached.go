package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// resolvePatience is for how long a name may not resolve that has never done so: a fault
// of the name servers passes, a typing error does not.
const resolvePatience = 2 * time.Minute

// quoted is what net/http repeats of what a server sent.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// unreached says why a request got no answer, and whether another try makes sense.
func (h *host) unreached(err error) error {
	if told, ok := errors.AsType[*trouble](err); ok {
		return told
	}
	text := h.client.tell(err.Error(), false)
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if wrong, ok := errors.AsType[x509.HostnameError](err); ok {
			return &trouble{text: "shows a certificate for another name: " + h.client.tell(wrong.Error(), false), lasts: true, err: err}
		}
		return &trouble{lasts: true, err: err, text: "shows a certificate that is not trusted: " + text +
			"; if it is the right one, give the file of its authority: as ca in the settings of the registry, or as *.crt in docker's certs.d"}
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return &trouble{text: "speaks plain HTTP where HTTPS is expected; if that is intended, set plain_http for it, or pass --plain-http", lasts: true, err: err}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &trouble{text: "does not speak TLS: " + text, lasts: true, err: err}
	}
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		lasts := strings.Contains(text, "certificate") || strings.Contains(text, "unknown authority")
		if lasts {
			text += "; it may require a client certificate: set cert and key for it"
		}
		return &trouble{text: "ended the TLS handshake: " + text, lasts: lasts, err: err}
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok && lookup.IsNotFound {
		return &trouble{text: "has a name that does not resolve: " + text, lasts: h.nameless(), err: err}
	}
	if _, ok := errors.AsType[net.Error](err); !ok {
		text = quoted.ReplaceAllString(text, `"…"`)
	}
	return &trouble{text: "did not answer: " + text, err: err}
}

// nameless notes that the host's name did not resolve. It tells whether it looks as if it
// never would.
func (h *host) nameless() bool {
	if h.met.Load() {
		return false
	}
	now := h.client.opts.Now().UnixNano()
	since := h.unresolved.Load()
	if since == 0 {
		h.unresolved.CompareAndSwap(0, now)
		return false
	}
	return time.Duration(now-since) > resolvePatience
}
