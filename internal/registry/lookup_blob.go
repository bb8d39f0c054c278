package registry

import (
	"context"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// HasBlob tells whether the repository has a blob, as far as the registry tells.
func (r *Repository) HasBlob(ctx context.Context, digest v1.Hash) (bool, error) {
	return r.hasBlob(ctx, digest, 0)
}

// hasBlob is HasBlob with so many tries, or the usual number where that is zero.
func (r *Repository) hasBlob(ctx context.Context, digest v1.Hash, tries int) (bool, error) {
	c := call{
		op:     "look up blob " + r.name + "@" + digest.String(),
		method: http.MethodHead,
		url:    r.blobURL(digest),
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusOK},
		// Some registries send a HEAD on to where the blob is stored: it is there.
		fine:   func(status int) bool { return isRedirect(status) || refusesLookup(status) },
		tries:  tries,
		stored: true,
	}
	if r.asksByGet() {
		return r.hasBlobByGet(ctx, c, digest)
	}
	a, err := r.host.request(ctx, r.caller, c)
	if untold(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if refusesHead(a.status) {
		return r.hasBlobByGet(ctx, c, digest)
	}
	return r.foundBlob(c.op, a, digest)
}

// hasBlobByGet asks for a blob's first byte, and reads nothing.
func (r *Repository) hasBlobByGet(ctx context.Context, c call, digest v1.Hash) (bool, error) {
	c.method, c.header = http.MethodGet, http.Header{"Range": {"bytes=0-0"}}
	c.ok = []int{http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable}
	resp, err := r.host.do(ctx, r.caller, c)
	if untold(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	// The only blob without a first byte is the empty one.
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return true, nil
	}
	return r.foundBlob(c.op, answerOf(resp), digest)
}

func (r *Repository) foundBlob(op string, a *answer, digest v1.Hash) (bool, error) {
	if a.status >= http.StatusBadRequest || isRedirect(a.status) && r.host.learned.redirectsTellNothing.holds(r.host.now()) {
		return false, nil
	}
	return true, r.sameDigest(op, a, digest)
}
