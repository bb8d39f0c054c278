package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"
)

const (
	// tagPage is how many tags are asked for at once: what registries give.
	tagPage = 1000
	// maxTagList bounds a page that is read, in bytes.
	maxTagList = 1 << 20
)

// Tags lists the tags of the repository, limit of them at most or few more.
// complete says whether those are all; a repository that does not exist has none
// (distribution spec, "Listing Tags").
func (r *Repository) Tags(ctx context.Context, limit int) (tags []string, complete bool, err error) {
	next := fmt.Sprintf("%s/v2/%s/tags/list?n=%d", r.host.base, r.name, tagPage)
	for len(tags) < limit {
		var page []string
		page, next, err = r.tagPage(ctx, next)
		if err != nil {
			return nil, false, err
		}
		tags = append(tags, page...)
		if next == "" {
			return tags, true, nil
		}
	}
	return tags, false, nil
}

// tagPage reads one page. next is the address of the one after it, or "".
func (r *Repository) tagPage(ctx context.Context, address string) (tags []string, next string, err error) {
	op := "list tags of " + r.name
	resp, err := r.host.do(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    address,
		header: http.Header{"Accept": {"application/json"}},
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusOK, http.StatusNotFound},
	})
	if err != nil {
		return nil, "", err
	}
	defer drain(resp)
	if resp.StatusCode == http.StatusNotFound {
		return nil, "", nil
	}
	var page struct {
		Tags []string `json:"tags"`
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxTagList))
	if err == nil {
		err = json.Unmarshal(data, &page)
	}
	if err == nil {
		next, err = nextPage(address, resp.Header.Get("Link"))
	}
	if err != nil {
		return nil, "", &Error{Op: op, Registry: r.Registry(), Err: err}
	}
	return page.Tags, next, nil
}

// nextPage reads a Link header (RFC 8288): <address>; rel="next". It does not lead
// to another host, which would be shown our credentials.
func nextPage(from, link string) (string, error) {
	if link == "" {
		return "", nil
	}
	reference, _, closed := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	base, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	next, err := base.Parse(reference)
	if err != nil || !closed || next.Host != base.Host || next.Scheme != base.Scheme || next.String() == from {
		return "", errors.New("the link to the next page of the list is no use")
	}
	return next.String(), nil
}
