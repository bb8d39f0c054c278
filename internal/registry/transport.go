package registry

import (
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"time"
)

func newDialer() *net.Dialer {
	return &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         newDialer().DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 15 * time.Second,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		WriteBufferSize:     32 << 10,
		// No answer has more to say in its headers.
		MaxResponseHeaderBytes: 256 << 10,
		// Layers are compressed as it is.
		DisableCompression: true,
	}
}

// RoundTripper reaches each host as its options and certs.d say, for who makes requests
// of his own. It knows nothing of credentials.
func (c *Client) RoundTripper() http.RoundTripper {
	return &route{client: c, home: &endpoint{transport: c.opts.Transport}}
}

// transportWith is a transport with a TLS configuration of its own.
func (c *Client) transportWith(config *tls.Config, hostport string) http.RoundTripper {
	config = config.Clone()
	if config.InsecureSkipVerify {
		config.VerifyConnection = func(tls.ConnectionState) error {
			c.opts.Logger.Warn().Str("registry", hostport).Msg("the certificate of a registry is not verified, as its settings say")
			return nil
		}
	}
	transport := newTransport()
	switch given := c.opts.Transport.(type) {
	case *guard:
		return given.withTLS(config)
	case *http.Transport:
		transport = given.Clone()
	}
	transport.TLSClientConfig = config
	return transport
}

// clientOf makes the client by which a registry is reached, and whoever it points to.
func (c *Client) clientOf(home *endpoint) *http.Client {
	return &http.Client{
		Transport: &route{client: c, home: home},
		// A redirect is never followed unseen: it would take credentials, or an
		// image, to another place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// route sends each request as its host wants it.
type route struct {
	client *Client
	home   *endpoint
}

// RoundTrip implements [http.RoundTripper]. A host without settings of its own to which a
// registry points (its token service, its storage) is reached with the registry's
// authorities and certificate, as docker does, and without its headers.
func (r *route) RoundTrip(req *http.Request) (*http.Response, error) {
	to, asked := r.home, canonicalHost(req.URL.Host)
	if asked != r.home.host {
		if other := r.client.otherEndpoint(asked); other.known {
			to = other
		}
	}
	if to.broken != nil {
		return nil, to.broken
	}
	// Whom nobody named does not make us use what is for those that are.
	if guarded, ok := to.transport.(*guard); ok && asked != r.home.host && !guarded.isNamed(r.home.host) {
		return guarded.outside.RoundTrip(req)
	}
	if len(to.headers) > 0 && asked == to.host {
		req = req.Clone(req.Context())
		maps.Copy(req.Header, to.headers)
	}
	return to.transport.RoundTrip(req)
}

// CloseIdleConnections lets connections go that nobody uses.
func (r *route) CloseIdleConnections() {
	if closer, ok := r.home.transport.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
