package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/dustin/go-humanize"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PullManifest reads a manifest of at most limit bytes, by its digest or by a tag. One
// that is not there is no error: found is false.
func (r *Repository) PullManifest(ctx context.Context, reference string, limit int64) (manifest v1.Descriptor, found bool, err error) {
	op := "read manifest " + r.name + at(reference)
	resp, err := r.host.do(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    r.manifestURL(reference),
		header: http.Header{"Accept": {manifestTypes}},
		scopes: pullScopes(r.name),
		ok:     []int{http.StatusOK, http.StatusNotFound},
	})
	if err != nil {
		return v1.Descriptor{}, false, err
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusOK {
		return v1.Descriptor{}, false, nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return v1.Descriptor{}, false, r.host.brokeOff(op, err)
	}
	if int64(len(data)) > limit {
		return v1.Descriptor{}, false, fmt.Errorf("%s: registry %s: the manifest is larger than %s", op, r.Registry(), humanize.IBytes(uint64(limit)))
	}
	digest, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return v1.Descriptor{}, false, fmt.Errorf("%s: %w", op, err)
	}
	for _, want := range []v1.Hash{hashOf(reference), hashOf(resp.Header.Get("Docker-Content-Digest"))} {
		if want != (v1.Hash{}) && want != digest {
			return v1.Descriptor{}, false, &MismatchError{Want: want, got: digest.String()}
		}
	}
	return v1.Descriptor{MediaType: mediaTypeOf(resp.Header.Get("Content-Type")), Digest: digest, Size: size, Data: data}, true, nil
}

// PullReferrers is [Repository.Referrers] for a repository that is only read.
func (r *Repository) PullReferrers(ctx context.Context, subject v1.Hash) (listed []v1.Hash, kept bool, err error) {
	return r.referrers(ctx, subject, pullScopes(r.name))
}

// mediaTypeOf is a Content-Type without its parameters.
func mediaTypeOf(header string) types.MediaType {
	mediaType, _, err := mime.ParseMediaType(header)
	if err != nil {
		return types.MediaType(header)
	}
	return types.MediaType(mediaType)
}
