package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

const (
	// maxReferrerPage bounds a page of referrers that is read, in bytes.
	maxReferrerPage = 4 << 20
	// MaxReferrers bounds the referrers of one manifest.
	MaxReferrers = 32 << 10
	// maxReferrerPages bounds the pages that are followed.
	maxReferrerPages = 100
)

// Referrers lists the manifests whose subject a manifest is. kept is false where the
// registry keeps no such list, or does not say: then the index under the manifest's
// fallback tag is all there is (distribution spec, "Listing Referrers").
func (r *Repository) Referrers(ctx context.Context, subject v1.Hash) (listed []v1.Hash, kept bool, err error) {
	if said := r.host.quirks().referrers; said != nil && !*said {
		return nil, false, nil
	}
	return r.referrers(ctx, subject, pushScopes(r.name))
}

func (r *Repository) referrers(ctx context.Context, subject v1.Hash, scopes []string) (listed []v1.Hash, kept bool, err error) {
	next := r.host.base + "/v2/" + r.name + "/referrers/" + subject.String()
	for range maxReferrerPages {
		var page []v1.Hash
		page, next, kept, err = r.referrerPage(ctx, subject, next, scopes)
		if err != nil || !kept {
			return nil, false, err
		}
		if listed = append(listed, page...); len(listed) > MaxReferrers {
			return nil, false, fmt.Errorf("registry %s: %s has more than %d referrers of %s", r.Registry(), r.name, MaxReferrers, subject)
		}
		if next == "" {
			break
		}
	}
	return listed, true, nil
}

// referrerPage reads one page. next is the address of the one after it, or "".
func (r *Repository) referrerPage(ctx context.Context, subject v1.Hash, address string, scopes []string) (page []v1.Hash, next string, kept bool, err error) {
	op := "list referrers of " + r.name + at(subject.String())
	resp, err := r.host.do(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    address,
		header: http.Header{"Accept": {string(types.OCIImageIndex)}},
		scopes: scopes,
		ok:     []int{http.StatusOK},
	})
	if unanswered(err) {
		return nil, "", false, nil
	}
	if err != nil {
		return nil, "", false, err
	}
	defer drain(resp)
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReferrerPage+1))
	if err != nil {
		return nil, "", false, r.host.brokeOff(op, err)
	}
	var index struct {
		SchemaVersion int `json:"schemaVersion"`
		Manifests     []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	// Servers that know nothing of referrers may answer with a page for people.
	if len(data) > maxReferrerPage || pushspec.CheckDocument(data, MaxReferrers) != nil || json.Unmarshal(data, &index) != nil || index.SchemaVersion != 2 {
		return nil, "", false, nil
	}
	for _, m := range index.Manifests {
		if digest := hashOf(m.Digest); digest != (v1.Hash{}) {
			page = append(page, digest)
		}
	}
	if next, err = nextPage(address, resp.Header.Get("Link")); err != nil {
		return nil, "", false, fmt.Errorf("%s: registry %s: %w", op, r.Registry(), err)
	}
	return page, next, true, nil
}

// unanswered tells whether a registry refused a question, for whatever reason: it is
// one that most do not know.
func unanswered(err error) bool {
	if _, elsewhere := errors.AsType[*ElsewhereError](err); elsewhere {
		return true
	}
	failed := asError(err)
	return failed != nil && failed.Status != 0 && !failed.Passing()
}
