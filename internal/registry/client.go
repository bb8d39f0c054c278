package registry

import (
	"context"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

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
	// endpoints are those of hosts that registries point to.
	endpoints map[string]*endpoint
}

// New makes a client.
func New(opts Options) *Client {
	opts = opts.withDefaults()
	c := &Client{
		opts:      opts,
		hosts:     map[string]*host{},
		endpoints: map[string]*endpoint{},
	}
	for host, options := range opts.Hosts {
		if options.SkipVerify {
			opts.Logger.Warn().Str("registry", host).Msg("the certificates of a registry will not be verified: anybody on the way can read and change what is sent, credentials too")
		}
		for _, value := range options.Headers {
			c.secrets.add(value)
		}
	}
	c.lifetime, c.end = context.WithCancel(context.Background())
	return c
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
	for _, r := range c.endpoints {
		if closer, ok := r.transport.(interface{ CloseIdleConnections() }); ok {
			closer.CloseIdleConnections()
		}
	}
}

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
	known, err := HostName(registry)
	if err != nil {
		return time.Time{}
	}
	c.mu.Lock()
	h := c.hosts[known]
	c.mu.Unlock()
	if h == nil || h.lastProgress.Load() == 0 {
		return time.Time{}
	}
	return time.Unix(0, h.lastProgress.Load())
}
