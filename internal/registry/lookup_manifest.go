package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxManifest bounds a manifest that is read to learn its digest: what registries
// take (distribution spec, "Pushing Manifests").
const maxManifest = 4 << 20

// noHeadLife is for how long a registry that answered too little to a HEAD is asked
// by GET at once.
const noHeadLife = refusalLife

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
	a, err := r.host.request(ctx, r.caller, call{
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
	if a.status == http.StatusOK {
		if err := r.sameDigest("look up manifest "+r.name+at(reference), a, hashOf(reference)); err != nil {
			return v1.Hash{}, false, err
		}
		digest = hashOf(a.header.Get("Docker-Content-Digest"))
		if digest != (v1.Hash{}) {
			return digest, true, nil
		}
	} else if !refusesHead(a.status) {
		return v1.Hash{}, false, nil
	}
	digest, found, known, err := r.lookUpByGet(ctx, reference, tries)
	if known {
		r.host.learned.noHead.set(r.host.now(), noHeadLife)
	}
	return digest, found, err
}

// lookUpByGet reads a manifest for its digest. known tells whether the registry let us
// know.
func (r *Repository) lookUpByGet(ctx context.Context, reference string, tries int) (digest v1.Hash, found, known bool, err error) {
	op := "look up manifest " + r.name + at(reference)
	a, err := r.host.read(ctx, r.caller, call{
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
	if a.status != http.StatusOK {
		return v1.Hash{}, false, a.status == http.StatusNotFound, nil
	}
	digest = hashOfBytes(a.body)
	if differs(digest, want) {
		return v1.Hash{}, false, false, r.otherDigest(op, a.status, want, digest)
	}
	return digest, true, true, nil
}
