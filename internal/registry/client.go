package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/clock"
)

const (
	// DefaultAttempts is how often a request is made that fails in passing.
	DefaultAttempts = 5

	// DefaultMaxWait is the longest Retry-After that is waited for on the spot. A
	// longer one is handed to the caller, who has better things to do.
	DefaultMaxWait = 20 * time.Second

	// DefaultIdleTimeout is how long a request may make no progress.
	DefaultIdleTimeout = 60 * time.Second

	// DefaultAnswerTimeout is how long a registry may take to answer once it has
	// the whole request: some copy a blob to its final place before they do.
	DefaultAnswerTimeout = 5 * time.Minute
)

// Options are a [Client]'s.
type Options struct {
	// Keychain finds the credentials for a registry. Defaults to DefaultKeychain().
	Keychain authn.Keychain

	// Hosts are the options of single hosts, with their ports. Loopback hosts are spoken
	// to over plain HTTP, unless theirs say how they do TLS.
	Hosts map[string]HostOptions

	// CertDirs hold a folder of certificates for each host. Defaults to
	// DefaultCertDirs().
	CertDirs []string

	// Quirks are those of further hosts, with their ports, or of hosts of which
	// the table of this package is wrong.
	Quirks map[string]Quirks

	// Transport carries the requests. Defaults to one of the client's own.
	Transport http.RoundTripper

	// UserAgent is sent with each request. Defaults to "drayage".
	UserAgent string

	// Attempts bounds the tries of a request. Defaults to DefaultAttempts.
	Attempts int

	// MaxWait bounds the Retry-After that is waited for. Defaults to
	// DefaultMaxWait.
	MaxWait time.Duration

	// IdleTimeout and AnswerTimeout default to the constants of that name.
	IdleTimeout   time.Duration
	AnswerTimeout time.Duration

	// Pace bounds the requests to each registry.
	Pace Pace

	// Now and Wait are the clock. They default to the real one.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error

	Logger zerolog.Logger
}

// Client speaks to any number of registries. It is safe for concurrent use.
type Client struct {
	opts    Options
	secrets secrets

	// background counts the token renewals that nobody waits for.
	background sync.WaitGroup
	lifetime   context.Context
	end        context.CancelFunc

	mu    sync.Mutex
	hosts map[string]*host
	// reaches are how hosts are reached that registries point to.
	reaches map[string]*reach
}

// New makes a client.
func New(opts Options) *Client {
	if opts.Keychain == nil {
		opts.Keychain = DefaultKeychain()
	}
	if opts.Transport == nil {
		opts.Transport = newTransport()
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "drayage"
	}
	if opts.Attempts <= 0 {
		opts.Attempts = DefaultAttempts
	}
	if opts.MaxWait <= 0 {
		opts.MaxWait = DefaultMaxWait
	}
	if opts.IdleTimeout <= 0 {
		opts.IdleTimeout = DefaultIdleTimeout
	}
	if opts.AnswerTimeout <= 0 {
		opts.AnswerTimeout = DefaultAnswerTimeout
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Wait == nil {
		opts.Wait = clock.Wait
	}
	if opts.CertDirs == nil {
		opts.CertDirs = DefaultCertDirs()
	}
	opts.Pace = opts.Pace.withDefaults()
	c := &Client{
		opts:    opts,
		hosts:   map[string]*host{},
		reaches: map[string]*reach{},
	}
	for host, options := range opts.Hosts {
		if options.SkipVerify {
			opts.Logger.Warn().Str("registry", host).Msg("the certificates of a registry will not be verified: whoever stands on the way can read and change what is sent, credentials too")
		}
		for _, value := range options.Headers {
			c.secrets.add(value)
		}
	}
	c.lifetime, c.end = context.WithCancel(context.Background())
	return c
}

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
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
	return &route{client: c, home: &reach{transport: c.opts.Transport}}
}

// Close waits for what runs in the background and lets idle connections go.
func (c *Client) Close() {
	c.end()
	c.background.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.http.CloseIdleConnections()
	}
	for _, r := range c.reaches {
		if closer, ok := r.transport.(interface{ CloseIdleConnections() }); ok {
			closer.CloseIdleConnections()
		}
	}
}

// Caller is on whose behalf a repository is written to.
type Caller struct {
	// Invocation is the build; requests of several builds take turns.
	Invocation string
	// Requests counts what is sent to registries, token services apart. It may be
	// nil.
	Requests *atomic.Int64
}

// Repository is the view that a caller has of a repository.
type Repository struct {
	host   *host
	name   string
	caller Caller
}

// Repository is the repository of that name in a registry: "ghcr.io",
// "acme/app".
func (c *Client) Repository(registry, repository string, caller Caller) (*Repository, error) {
	repo, err := name.NewRepository(registry+"/"+repository, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("find repository %s/%s: %w", registry, repository, err)
	}
	return &Repository{host: c.host(repo.Registry), name: repo.RepositoryStr(), caller: caller}, nil
}

// Registry is the name of the host as the client knows it: Docker Hub's many are
// one.
func (r *Repository) Registry() string { return r.host.name.RegistryStr() }

// Name is the repository's name in its registry.
func (r *Repository) Name() string { return r.name }

func (r *Repository) String() string { return r.Registry() + "/" + r.name }

func (c *Client) host(registry name.Registry) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := registry.RegistryStr()
	h := c.hosts[key]
	if h == nil {
		h = newHost(c, registry)
		c.hosts[key] = h
	}
	return h
}

// LastProgress is when things last went on with a registry: it took bytes of an upload, or
// gave an answer that was not one of distress. It is zero where they never did.
func (c *Client) LastProgress(registry string) time.Time {
	named, err := name.NewRegistry(registry, name.StrictValidation)
	if err != nil {
		return time.Time{}
	}
	c.mu.Lock()
	h := c.hosts[named.RegistryStr()]
	c.mu.Unlock()
	if h == nil || h.lastProgress.Load() == 0 {
		return time.Time{}
	}
	return time.Unix(0, h.lastProgress.Load())
}

// maxReaches bounds what is remembered of hosts that registries point to.
const maxReaches = 1024

// otherReach is how a host is reached that a registry points to.
func (c *Client) otherReach(hostport string) *reach {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[hostport]; h != nil {
		return &h.reach
	}
	if known := c.reaches[hostport]; known != nil {
		return known
	}
	r := c.reachOf(hostport)
	if r.known || len(c.reaches) < maxReaches {
		c.reaches[hostport] = &r
	}
	return &r
}

// hashOf is the digest in a header, or the zero hash.
func hashOf(header string) v1.Hash {
	h, err := v1.NewHash(header)
	if err != nil {
		return v1.Hash{}
	}
	return h
}
