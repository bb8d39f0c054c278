package registry

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/drayage/drayage/internal/loopback"
)

// guard connects to public addresses, and to others only where the options name the host.
// It looks at the address that a connection is made to, after names were resolved: a name
// that resolves to something else the next time is looked at again.
type guard struct {
	// named has HOST:PORT of the hosts that may be anywhere.
	named    map[string]bool
	dialer   *net.Dialer
	resolver *net.Resolver
	// proxy finds the proxy for a request. What goes through one is resolved by it.
	proxy           func(*http.Request) (*url.URL, error)
	direct, proxied *http.Transport
	// outside is the guard for which no host is named: it goes where hosts that are not named
	// point to. Its connections are its own.
	outside *guard
}

func newGuard(opts Options) *guard {
	g := bareGuard(opts)
	g.outside = bareGuard(opts)
	for host, options := range opts.Hosts {
		g.name(host)
		if service, err := options.tokenService(); err == nil && service != nil {
			g.named[hostPort(service.Hostname(), portOf(service))] = true
		}
	}
	for _, host := range opts.Named {
		g.name(host)
	}
	return g
}

// bareGuard is a guard for which no host is named.
func bareGuard(opts Options) *guard {
	g := &guard{named: map[string]bool{}, resolver: opts.resolver, proxy: opts.proxy}
	if g.resolver == nil {
		g.resolver = net.DefaultResolver
	}
	if g.proxy == nil {
		g.proxy = http.ProxyFromEnvironment
	}
	g.dialer = newDialer()
	g.dialer.Resolver = opts.resolver
	g.direct, g.proxied = newTransport(), newTransport()
	g.direct.Proxy, g.direct.DialContext = nil, g.dial
	g.proxied.Proxy = g.proxy
	return g
}

// name lets a host be anywhere: without a port, at the default ports.
func (g *guard) name(host string) {
	if bare, port, err := net.SplitHostPort(host); err == nil {
		g.named[hostPort(bare, port)] = true
		return
	}
	bare := strings.Trim(host, "[]")
	g.named[hostPort(bare, "443")], g.named[hostPort(bare, "80")] = true, true
}

// isNamed tells whether a registry's host is named.
func (g *guard) isNamed(host string) bool {
	bare, port, err := net.SplitHostPort(host)
	if err != nil {
		bare, port = strings.Trim(host, "[]"), "443"
	}
	return g.named[hostPort(bare, port)]
}

// hostPort is a host with its port in the one form in which two are compared.
func hostPort(host, port string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if address, err := netip.ParseAddr(host); err == nil {
		host = address.Unmap().String()
	}
	return net.JoinHostPort(host, port)
}

// withTLS is the guard with another TLS configuration.
func (g *guard) withTLS(config *tls.Config) *guard {
	other := *g
	other.direct, other.proxied = g.direct.Clone(), g.proxied.Clone()
	other.direct.TLSClientConfig, other.proxied.TLSClientConfig = config.Clone(), config.Clone()
	if g.outside != nil {
		other.outside = g.outside.withTLS(config)
	}
	return &other
}

// RoundTrip implements [http.RoundTripper].
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	proxy, err := g.proxy(req)
	if err == nil && proxy != nil {
		err = g.checkTarget(req.Context(), req.URL)
	}
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	if proxy != nil {
		return g.proxied.RoundTrip(req)
	}
	return g.direct.RoundTrip(req)
}

// CloseIdleConnections lets connections go that nobody uses.
func (g *guard) CloseIdleConnections() {
	g.direct.CloseIdleConnections()
	g.proxied.CloseIdleConnections()
	if g.outside != nil {
		g.outside.CloseIdleConnections()
	}
}

// dial connects to a host. The dialer resolves its name, and asks about each address that
// it is about to connect to.
func (g *guard) dial(ctx context.Context, network, to string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return nil, err
	}
	dialer := *g.dialer
	if !g.named[hostPort(host, port)] {
		dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("look at the address %s: %w", address, err)
			}
			return refuseInner(host, port, at.Addr())
		}
	}
	return dialer.DialContext(ctx, network, to)
}

// checkTarget looks at where a proxy is asked to connect to. What only the proxy can
// resolve is left to it.
func (g *guard) checkTarget(ctx context.Context, target *url.URL) error {
	host, port := target.Hostname(), portOf(target)
	if g.named[hostPort(host, port)] {
		return nil
	}
	if loopback.Is(host) {
		return refuseInner(host, port, netip.IPv6Loopback())
	}
	addresses, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil //nolint:nilerr // the proxy may know it
	}
	for _, address := range addresses {
		if err := refuseInner(host, port, address); err != nil {
			return err
		}
	}
	return nil
}

// refuseInner is the error of an address that is not public.
func refuseInner(host, port string, address netip.Addr) error {
	kind := addressKind(address)
	if kind == "" {
		return nil
	}
	address = address.WithZone("").Unmap()
	setting := host
	if port != "443" && port != "80" {
		setting = net.JoinHostPort(host, port)
	} else if strings.Contains(host, ":") {
		setting = "[" + host + "]"
	}
	return &trouble{lasts: true, text: clip(fmt.Sprintf("was not asked: %s is at %s, %s. If that is intended, add an entry with host: %q to registries in the daemon's configuration",
		net.JoinHostPort(host, port), address, kind, setting))}
}
