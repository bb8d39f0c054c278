package casregistry

import (
	"cmp"
	"fmt"
	"net/http"
	"sync"

	"github.com/dustin/go-humanize"
)

// Limits bound what one client may use. Zero is the default.
type Limits struct {
	// BlobBytes is the size of the largest blob. Defaults to [DefaultBlobBytes].
	BlobBytes int64
	// ClientBytes is what the registry keeps for one client in its folder, finished or not.
	// Defaults to [DefaultClientBytes].
	ClientBytes int64
	// ClientUploads are the uploads of one client that are under way, and the bodies that
	// are being received from it. Defaults to [DefaultClientUploads].
	ClientUploads int
}

// Defaults of [Limits].
const (
	DefaultBlobBytes     = 10 << 30
	DefaultClientBytes   = 50 << 30
	DefaultClientUploads = 256
)

// fileCharge is what the smallest file takes on most disks, in bytes.
const fileCharge = 4096

// accounts know what each client uses.
type accounts struct {
	limits Limits

	mu      sync.Mutex
	bytes   map[string]int64
	uploads map[string]int
}

func newAccounts(limits Limits) *accounts {
	return &accounts{
		limits: Limits{
			BlobBytes:     cmp.Or(limits.BlobBytes, DefaultBlobBytes),
			ClientBytes:   cmp.Or(limits.ClientBytes, DefaultClientBytes),
			ClientUploads: cmp.Or(limits.ClientUploads, DefaultClientUploads),
		},
		bytes: map[string]int64{}, uploads: map[string]int{},
	}
}

// charge adds to what a client keeps, unless that is too much then.
func (a *accounts) charge(client string, size int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bytes[client]+size > a.limits.ClientBytes {
		return &refusal{
			status: http.StatusForbidden, code: "DENIED",
			message: fmt.Sprintf("the registry keeps at most %s for %s, and that is used up (cas_registry.client_bytes); have images deleted",
				humanize.IBytes(uint64(a.limits.ClientBytes)), client),
		}
	}
	a.bytes[client] += size
	return nil
}

// add is for what is kept already, be it too much or not. A negative size gives back.
func (a *accounts) add(client string, size int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bytes[client] += size; a.bytes[client] == 0 {
		delete(a.bytes, client)
	}
}

// begin counts an upload until end is called.
func (a *accounts) begin(client string) (end func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.uploads[client] >= a.limits.ClientUploads {
		return nil, &refusal{
			status: http.StatusTooManyRequests, code: "TOOMANYREQUESTS",
			message: fmt.Sprintf("%s has %d uploads under way, and must not have more (cas_registry.client_uploads); finish or cancel some", client, a.uploads[client]),
		}
	}
	a.uploads[client]++
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.uploads[client]--; a.uploads[client] == 0 {
			delete(a.uploads, client)
		}
	}), nil
}
