package registry

import (
	"context"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// PullDigest asks which manifest a tag points to, or whether the one with a digest is
// there. One that is not is no error: found is false. A registry that refuses to tell
// is one, unlike with [Repository.Head].
func (r *Repository) PullDigest(ctx context.Context, reference string) (digest v1.Hash, found bool, err error) {
	if r.asksByGet() {
		return r.pullDigestByGet(ctx, reference)
	}
	op := "look up manifest " + r.name + at(reference)
	answer, err := r.host.request(ctx, r.caller, call{
		op:     op,
		method: http.MethodHead,
		url:    r.manifestURL(reference),
		header: http.Header{"Accept": {manifestTypes}},
		scopes: pullScopes(r.name),
		ok:     []int{http.StatusOK, http.StatusNotFound},
		fine:   func(status int) bool { return refusesHead(status) || r.deniesUnknown(status) },
	})
	if err != nil {
		return v1.Hash{}, false, err
	}
	switch {
	case answer.status == http.StatusNotFound || r.deniesUnknown(answer.status):
		return v1.Hash{}, false, nil
	case answer.status == http.StatusOK:
		if err := r.sameDigest(op, answer, hashOf(reference)); err != nil {
			return v1.Hash{}, false, err
		}
		if digest = hashOf(answer.header.Get("Docker-Content-Digest")); digest != (v1.Hash{}) {
			return digest, true, nil
		}
	}
	digest, found, err = r.pullDigestByGet(ctx, reference)
	if err == nil {
		r.host.learned.noHead.set(r.host.now(), noHeadLife)
	}
	return digest, found, err
}

// pullDigestByGet reads a manifest for its digest.
func (r *Repository) pullDigestByGet(ctx context.Context, reference string) (digest v1.Hash, found bool, err error) {
	manifest, found, err := r.PullManifest(ctx, reference, maxManifest)
	if failed := asError(err); failed != nil && r.deniesUnknown(failed.Status) {
		return v1.Hash{}, false, nil
	}
	return manifest.Digest, found, err
}

// deniesUnknown tells whether an answer is how this registry says that there is nothing.
func (r *Repository) deniesUnknown(status int) bool {
	return status == http.StatusForbidden && r.host.quirks().deniesUnknown
}
