package registry

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/clock"
)

const (
	defaultAttempts      = 5
	defaultMaxWait       = 20 * time.Second
	defaultIdleTimeout   = time.Minute
	defaultAnswerTimeout = 5 * time.Minute
)

// Options are a [Client]'s.
type Options struct {
	// Keychain finds the credentials for a registry. Defaults to DefaultKeychain().
	Keychain authn.Keychain

	// Hosts are the options of single hosts, with their ports. Loopback hosts are spoken
	// to over plain HTTP, unless theirs say how they do TLS.
	Hosts map[string]HostOptions

	// CertDirs hold a folder of certificates for each host. They default to those of
	// docker and podman.
	CertDirs []string

	// Quirks are those of further hosts, with their ports, or of hosts of which
	// the table of this package is wrong.
	Quirks map[string]Quirks

	// Transport carries the requests. Defaults to one of the client's own.
	Transport http.RoundTripper

	// PublicOnly refuses connections to addresses that are not public (loopback, private,
	// link-local and the like), except to Hosts, to their token services, and to Named. It
	// must not be set together with Transport.
	PublicOnly bool
	// Named are further hosts, with their ports, that may be at any address.
	Named []string

	// resolver and proxy default to the system's.
	resolver *net.Resolver
	proxy    func(*http.Request) (*url.URL, error)

	// UserAgent is sent with each request. Defaults to "drayage".
	UserAgent string

	// Attempts bounds the tries of a request. Defaults to 5.
	Attempts int

	// maxWait bounds the Retry-After that is waited for. Defaults to
	// 20 seconds. A longer one is handed to the caller, who has better things to do.
	maxWait time.Duration

	// IdleTimeout is how long a request may make no progress. Defaults to one minute.
	IdleTimeout time.Duration
	// AnswerTimeout is how long a registry may take to answer once it has the whole
	// request: some copy a blob to its final place before they do. Defaults to five
	// minutes.
	AnswerTimeout time.Duration

	// Pace bounds the requests to each registry.
	Pace Pace

	// Now and Wait are the clock. They default to the real one.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error

	Logger zerolog.Logger
}

// answerTotal is how long an answer may take that is not a blob, beyond its headers: a
// server that sends a byte now and then makes progress, and no end.
func (o Options) answerTotal() time.Duration { return 2 * o.IdleTimeout }

func (o Options) withDefaults() Options {
	if o.Keychain == nil {
		o.Keychain = DefaultKeychain()
	}
	switch {
	case o.Transport != nil:
	case o.PublicOnly:
		o.Transport = newGuard(o)
	default:
		o.Transport = newTransport()
	}
	if o.UserAgent == "" {
		o.UserAgent = "drayage"
	}
	if o.Attempts <= 0 {
		o.Attempts = defaultAttempts
	}
	if o.maxWait <= 0 {
		o.maxWait = defaultMaxWait
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	if o.AnswerTimeout <= 0 {
		o.AnswerTimeout = defaultAnswerTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = clock.Wait
	}
	if o.CertDirs == nil {
		o.CertDirs = defaultCertDirs()
	}
	o.Pace = o.Pace.withDefaults()
	return o
}
