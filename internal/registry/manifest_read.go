package registry

import (
	"context"
	"net/http"
)

// Manifest reads a manifest of at most limit bytes.
func (r *Repository) Manifest(ctx context.Context, reference string, limit int64) (data []byte, mediaType string, found bool, err error) {
	op := "read manifest " + r.name + at(reference)
	a, err := r.host.read(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    r.manifestURL(reference),
		header: http.Header{"Accept": {manifestTypes}},
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusOK, http.StatusNotFound},
		// What is read here is written back: what a registry refuses to show must not be
		// taken for nothing, unless this one is known to say so.
		fine: func(status int) bool { return status == http.StatusForbidden && r.host.quirks().deniesUnknown },
	}, limit)
	if err != nil || a.status != http.StatusOK {
		return nil, "", false, err
	}
	if want, got := hashOf(reference), hashOfBytes(a.body); differs(got, want) {
		return nil, "", false, r.otherDigest(op, a.status, want, got)
	}
	return a.body, a.header.Get("Content-Type"), true, nil
}
