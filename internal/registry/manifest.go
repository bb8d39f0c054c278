package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// manifestTypes are all that a tag may point to.
var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1),
	string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")

// Head looks a manifest up, by its digest or by a tag. A manifest that is not
// there is no error: found is false. The digest is zero where the registry does
// not tell it.
func (r *Repository) Head(ctx context.Context, reference string) (digest v1.Hash, found bool, err error) {
	resp, err := r.host.do(ctx, r.caller, call{
		op:     "look up manifest " + r.name + at(reference),
		method: http.MethodHead,
		url:    r.manifestURL(reference),
		header: http.Header{"Accept": {manifestTypes}},
		scopes: pushScopes(r.name),
		ok:     r.lookupStatuses(),
	})
	if err != nil {
		return v1.Hash{}, false, err
	}
	drain(resp)
	if resp.StatusCode != http.StatusOK {
		return v1.Hash{}, false, nil
	}
	digest = hashOf(resp.Header.Get("Docker-Content-Digest"))
	if digest == (v1.Hash{}) && strings.Contains(reference, ":") {
		digest = hashOf(reference)
	}
	return digest, true, nil
}

// lookupStatuses are the answers to a lookup that are no errors.
func (r *Repository) lookupStatuses() []int {
	statuses := []int{http.StatusOK, http.StatusNotFound}
	if r.host.quirks.DeniesUnknown {
		statuses = append(statuses, http.StatusForbidden)
	}
	return statuses
}

// Manifest reads a manifest of at most limit bytes.
func (r *Repository) Manifest(ctx context.Context, reference string, limit int64) (data []byte, mediaType string, found bool, err error) {
	op := "read manifest " + r.name + at(reference)
	resp, err := r.host.do(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    r.manifestURL(reference),
		header: http.Header{"Accept": {manifestTypes}},
		scopes: pushScopes(r.name),
		ok:     r.lookupStatuses(),
	})
	if err != nil {
		return nil, "", false, err
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusOK {
		return nil, "", false, nil
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, "", false, &Error{Op: op, Registry: r.Registry(), Err: err}
	}
	if int64(len(data)) > limit {
		return nil, "", false, fmt.Errorf("%s: it is over %d bytes", op, limit)
	}
	return data, resp.Header.Get("Content-Type"), true, nil
}

// Written is how a registry answered to a manifest.
type Written struct {
	// Tags are those that the registry says it has set, of several that were sent
	// along (distribution spec, "OCI-Tag").
	Tags []string
	// Subject is set where the registry keeps track of referrers itself
	// (distribution spec, "OCI-Subject").
	Subject bool
}

// PutManifest writes a manifest under a reference: its digest, or a tag. Further
// tags are offered in the same request; see [Written.Tags] for those that were
// taken.
func (r *Repository) PutManifest(ctx context.Context, reference string, mediaType string, data []byte, tags ...string) (Written, error) {
	target := r.manifestURL(reference)
	if len(tags) > 0 {
		target += "?" + url.Values{"tag": tags}.Encode()
	}
	resp, err := r.host.do(ctx, r.caller, call{
		op:     "write manifest " + r.name + at(reference),
		method: http.MethodPut,
		url:    target,
		header: http.Header{"Content-Type": {mediaType}},
		open:   func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
		size:   int64(len(data)),
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusCreated, http.StatusOK, http.StatusAccepted, http.StatusNoContent},
	})
	if err != nil {
		return Written{}, err
	}
	drain(resp)
	written := Written{Subject: resp.Header.Get("OCI-Subject") != ""}
	for _, value := range resp.Header.Values("OCI-Tag") {
		for tag := range strings.SplitSeq(value, ",") {
			if tag = strings.TrimSpace(tag); slices.Contains(tags, tag) {
				written.Tags = append(written.Tags, tag)
			}
		}
	}
	if len(tags) > 0 {
		if len(written.Tags) > 0 {
			r.host.learned.multiTag.Store(true)
		} else {
			r.host.learned.noMultiTag.Store(true)
		}
	}
	return written, nil
}

// SetsManyTags tells whether the registry may set several tags in one request:
// it is not known that it does not.
func (r *Repository) SetsManyTags() bool { return !r.host.learned.noMultiTag.Load() }

func (r *Repository) manifestURL(reference string) string {
	return r.host.base + "/v2/" + r.name + "/manifests/" + reference
}

// at joins a reference to a repository's name, as people write it.
func at(reference string) string {
	if strings.Contains(reference, ":") {
		return "@" + reference
	}
	return ":" + reference
}
