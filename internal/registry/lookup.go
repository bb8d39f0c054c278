package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// maxManifest bounds a manifest that is read to learn its digest: what registries
	// take (distribution spec, "Pushing Manifests").
	maxManifest = 4 << 20
	// noHeadLife is for how long a registry that answered too little to a HEAD is asked
	// by GET at once.
	noHeadLife = refusalLife
)

// manifestTypes are all that a tag may point to.
var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1),
	string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")

// Head looks a manifest up, by its digest or by a tag. A manifest that is not there is
// no error: found is false. Nor is a registry that refuses to tell: a lookup spares
// requests, and nothing depends on it. Credentials that are not taken at all are one.
func (r *Repository) Head(ctx context.Context, reference string) (digest v1.Hash, found bool, err error) {
	return r.lookUp(ctx, reference, 0)
}

// lookUp is Head with so many tries, or the usual number where that is zero.
func (r *Repository) lookUp(ctx context.Context, reference string, tries int) (digest v1.Hash, found bool, err error) {
	if r.asksByGet() {
		digest, found, _, err = r.lookUpByGet(ctx, reference, tries)
		return digest, found, err
	}
	resp, err := r.host.do(ctx, r.caller, call{
		op:     "look up manifest " + r.name + at(reference),
		method: http.MethodHead,
		url:    r.manifestURL(reference),
		header: http.Header{"Accept": {manifestTypes}},
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusOK},
		fine:   refusesLookup,
		tries:  tries,
	})
	if untold(err) {
		return v1.Hash{}, false, nil
	}
	if err != nil {
		return v1.Hash{}, false, err
	}
	drain(resp)
	if resp.StatusCode == http.StatusOK {
		if err := r.sameDigest("look up manifest "+r.name+at(reference), resp, hashOf(reference)); err != nil {
			return v1.Hash{}, false, err
		}
		digest = hashOf(resp.Header.Get("Docker-Content-Digest"))
		if digest != (v1.Hash{}) {
			return digest, true, nil
		}
	} else if !refusesHead(resp.StatusCode) {
		return v1.Hash{}, false, nil
	}
	digest, found, known, err := r.lookUpByGet(ctx, reference, tries)
	if known {
		r.host.learned.noHead.set(r.host.now(), noHeadLife)
	}
	return digest, found, err
}

func (r *Repository) asksByGet() bool {
	return r.host.quirks().NoHead || r.host.learned.noHead.holds(r.host.now())
}

// lookUpByGet reads a manifest for its digest. known tells whether the registry let us
// know.
func (r *Repository) lookUpByGet(ctx context.Context, reference string, tries int) (digest v1.Hash, found, known bool, err error) {
	op := "look up manifest " + r.name + at(reference)
	resp, data, err := r.host.read(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    r.manifestURL(reference),
		header: http.Header{"Accept": {manifestTypes}},
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusOK},
		fine:   refusesLookup,
		tries:  tries,
	}, maxManifest)
	want := hashOf(reference)
	if _, large := errors.AsType[*tooLargeError](err); large {
		// Something is there, and nobody knows what.
		return v1.Hash{}, want == (v1.Hash{}), false, nil
	}
	if untold(err) {
		return v1.Hash{}, false, false, nil
	}
	if err != nil {
		return v1.Hash{}, false, false, err
	}
	if resp.StatusCode != http.StatusOK {
		return v1.Hash{}, false, resp.StatusCode == http.StatusNotFound, nil
	}
	digest = hashOfBytes(data)
	if differs(digest, want) {
		return v1.Hash{}, false, false, r.otherDigest(op, resp.StatusCode, want, digest)
	}
	return digest, true, true, nil
}

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
	resp, err := r.host.do(ctx, r.caller, c)
	if untold(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	drain(resp)
	if refusesHead(resp.StatusCode) {
		return r.hasBlobByGet(ctx, c, digest)
	}
	return r.foundBlob(c.op, resp, digest)
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
	return r.foundBlob(c.op, resp, digest)
}

func (r *Repository) foundBlob(op string, resp *http.Response, digest v1.Hash) (bool, error) {
	if resp.StatusCode >= http.StatusBadRequest || isRedirect(resp.StatusCode) && r.host.learned.movedBlobs.holds(r.host.now()) {
		return false, nil
	}
	return true, r.sameDigest(op, resp, digest)
}

// refusesLookup are answers to a lookup that say that there is nothing, or nothing at
// all: all that would be the same a little later, but for credentials that are wrong.
func refusesLookup(status int) bool {
	return status >= http.StatusBadRequest && status != http.StatusUnauthorized && !(&Error{Status: status}).Passing()
}

// refusesHead are answers to a HEAD that a GET may well not get.
func refusesHead(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusForbidden:
		return false
	}
	return refusesLookup(status)
}

// untold tells whether a lookup was sent on to where it is not followed.
func untold(err error) bool {
	if _, elsewhere := errors.AsType[*ElsewhereError](err); elsewhere {
		return true
	}
	failed := asError(err)
	return failed != nil && failed.Status >= 300 && failed.Status < 400
}

func (r *Repository) manifestURL(reference string) string {
	return r.host.base + "/v2/" + r.name + "/manifests/" + reference
}

func (r *Repository) blobURL(digest v1.Hash) string {
	return r.host.base + "/v2/" + r.name + "/blobs/" + digest.String()
}

// at joins a reference to a repository's name, as people write it.
func at(reference string) string {
	if strings.Contains(reference, ":") {
		return "@" + reference
	}
	return ":" + reference
}
