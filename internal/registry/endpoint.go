package registry

import (
	"crypto/tls"
	"net/http"
	"net/url"

	"github.com/drayage/drayage/internal/loopback"
)

// endpoint is how one host is reached.
type endpoint struct {
	host  string
	plain bool
	// tls is nil where the system's configuration is all.
	tls          *tls.Config
	headers      http.Header
	tokenService *url.URL
	// known tells that there are settings for this very host.
	known bool
	// broken is set where the settings are of no use: nothing is sent then.
	broken error

	transport http.RoundTripper
}

func (e *endpoint) scheme() string {
	if e.plain {
		return "http"
	}
	return "https"
}

// endpointOf finds out how a host is reached.
func (c *Client) endpointOf(hostport string) endpoint {
	options, known := c.opts.Hosts[hostport]
	e := endpoint{host: hostport, headers: http.Header{}, known: known, transport: c.opts.Transport}
	for name, value := range options.Headers {
		e.headers.Set(name, value)
	}
	folder, err := findCerts(c.opts.CertDirs, hostport)
	if err == nil {
		e.tokenService, err = options.tokenService()
	}
	if err == nil {
		e.tls, err = options.tls(&folder)
	}
	if err != nil {
		e.broken = &trouble{text: "was not asked, because its settings cannot be used: " + err.Error(), lasts: true, err: err}
	}
	e.known = e.known || !folder.empty() || err != nil
	// Who has settings for TLS means TLS, on loopback too.
	e.plain = options.PlainHTTP || e.tls == nil && err == nil && loopback.Is(hostport)
	if e.tls != nil && !e.plain {
		e.transport = c.transportWith(e.tls, hostport)
	}
	return e
}

// maxEndpoints bounds what is remembered of hosts that registries point to.
const maxEndpoints = 1024

// otherEndpoint is how a host is reached that a registry points to.
func (c *Client) otherEndpoint(hostport string) *endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[hostport]; h != nil {
		return &h.endpoint
	}
	if known := c.endpoints[hostport]; known != nil {
		return known
	}
	e := c.endpointOf(hostport)
	if e.known || len(c.endpoints) < maxEndpoints {
		c.endpoints[hostport] = &e
	}
	return &e
}
