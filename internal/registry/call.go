package registry

import (
	"context"
	"io"
	"net/http"
	"slices"

	"github.com/drayage/drayage/internal/registry/pacer"
)

// call describes a request.
type call struct {
	// op says what it is for, in errors.
	op     string
	method string
	url    string
	header http.Header
	// open gives the body, at each try anew. Nil means that there is none.
	open func(ctx context.Context) (io.ReadCloser, error)
	// size is that of the body in bytes.
	size int64
	// scopes are what a token has to allow.
	scopes      []string
	requestSize pacer.RequestSize
	// ok are the statuses that are no errors, and fine, where it is set, tells of
	// further ones.
	ok   []int
	fine func(status int) bool
	// once leaves retries to the caller.
	once bool
	// tries bounds the tries more than the client's options do, if it is not zero.
	tries int
	// optional is for a request that can be done without: that it is refused says
	// nothing about the credentials.
	optional bool
	// stored is for blobs: a redirect out of the API leads to where they are stored, which
	// may be on the same host and takes no credentials of the registry's.
	stored bool
	// carriedOut asks, after a failure that leaves it open, whether the request was
	// carried out all the same.
	carriedOut func(ctx context.Context, failed *Error) bool
}

func (c *call) accepts(status int) bool {
	return slices.Contains(c.ok, status) || c.fine != nil && c.fine(status)
}

// triesAfter is how often the request is made that failed so: a registry that asks for
// patience says nothing about the request.
func (c *call) triesAfter(failed *Error, most int) int {
	if c.tries == 0 || failed != nil && failed.Throttled() {
		return most
	}
	return min(c.tries, most)
}

// try is one try of a call, and what the steps of the chain leave to each other.
type try struct {
	call

	by Caller
	// used is what the request is authorized by.
	used authorization
	// challenged counts the challenges that were answered, and redirected the redirects
	// that were followed.
	challenged, redirected int
	// body is that of the request, or nil where it is empty.
	body    *watchedBody
	request *http.Request
}

// optionalTries is how often a request is made that a registry can do without.
const optionalTries = 2
