package registry

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/drayage/drayage/internal/registry/pacer"
)

// host is one registry, and what is known of it.
type host struct {
	client *Client
	name   name.Registry
	base   string // https://ghcr.io
	traits atomic.Pointer[Quirks]
	auth   *auth
	pacer  *pacer.Pacer
	// send makes a request, in the steps of the chain.
	send sender
	// endpoint is how it is reached, and http does it.
	endpoint endpoint
	http     *http.Client

	// first is held by the request that learns how the registry wants to be
	// authenticated to, so that others need not be refused as well.
	first chan struct{}
	// met is set once an answer has come.
	met atomic.Bool
	// lastProgress is when a request last made progress, or an answer came that was not one
	// of distress, in nanoseconds since 1970.
	lastProgress atomic.Int64
	// unresolved is when the host's name first did not resolve, in the same way, or 0.
	unresolved atomic.Int64
	// learned is what the registry's answers showed that it can do.
	learned learned
}

func (h *host) progressed() { h.lastProgress.Store(h.client.opts.Now().UnixNano()) }

func newHost(c *Client, registry name.Registry) *host {
	quirks := c.quirks(registry.RegistryStr())
	h := &host{
		client:   c,
		name:     registry,
		endpoint: c.endpointOf(registry.RegistryStr()),
		pacer:    newPacer(c.opts, quirks.rate),
		first:    make(chan struct{}, 1),
	}
	h.base = h.endpoint.scheme() + "://" + registry.RegistryStr()
	h.http = c.clientOf(&h.endpoint)
	h.auth = newAuth(h)
	h.traits.Store(&quirks)
	h.learned.init()
	h.send = h.chain()
	return h
}

func (h *host) now() time.Time { return h.client.opts.Now() }
