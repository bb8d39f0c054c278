package httpserver

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/loopback"
	"github.com/drayage/drayage/internal/operator"
)

// names are the hosts that a server answers to. A page of a stranger's site can have the
// site's own name lead to this machine, and then counts as the server's own page in the
// browser of whoever looks at it. Only the Host header tells (DNS rebinding).
type names map[string]bool

func newNames(listen string, more []string) names {
	n := names{}
	for _, host := range append([]string{listen}, more...) {
		if host = canonical(host); host != "" {
			n[host] = true
		}
	}
	return n
}

// canonical is a host without its port, in one spelling.
func canonical(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if address, err := netip.ParseAddr(host); err == nil {
		if address.IsUnspecified() {
			return "" // every address of this machine, and none that a client can name
		}
		return address.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// CheckName says why a name or an address cannot be one of [Options.Names].
func CheckName(name string) error {
	bare := canonical(name)
	if bare == "" || (bare != strings.ToLower(name) && net.ParseIP(name) == nil) || strings.ContainsAny(name, "/*@ ") {
		return fmt.Errorf("%q must be a host name or an address, without a port", name)
	}
	return nil
}

// has tells whether a request names this server: one of its names, loopback, or the very
// address that the client has connected to.
func (n names) has(r *http.Request) bool {
	host := canonical(r.Host)
	if host == "" {
		return false
	}
	if n[host] || loopback.Is(host) {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && canonical(local.String()) == host
}

var errMisdirected = errors.New("this daemon does not answer to the host name of the request. If clients or a proxy in front of the daemon call it so, add the name to names in the daemon's configuration")

// answersTo refuses requests for other hosts.
func answersTo(own names, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if own.has(r) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		w.WriteHeader(http.StatusMisdirectedRequest)
		_ = json.MarshalWrite(w, operator.Problem{ // the client is gone if it fails
			Title: "Unknown host " + strings.ToValidUTF8(r.Host, "?"), Status: http.StatusMisdirectedRequest, Detail: errMisdirected.Error(),
		})
	})
}
