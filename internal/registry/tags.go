package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
)

const (
	// tagPage is how many tags are asked for at once: what registries give.
	tagPage = 1000
	// maxTagList bounds a page that is read, in bytes.
	maxTagList = 1 << 20
	// maxTagPages bounds the pages that are read: some registries give few tags in each,
	// and a list in a circle has no last one.
	maxTagPages = 100
)

// Tags lists the tags of the repository, limit of them at most or few more.
// complete says whether those are all; a repository that does not exist has none
// (distribution spec, "Listing Tags").
func (r *Repository) Tags(ctx context.Context, limit int) (tags []string, complete bool, err error) {
	next := fmt.Sprintf("%s/v2/%s/tags/list?n=%d", r.host.base, r.name, tagPage)
	seen := map[string]bool{}
	for range maxTagPages {
		if len(tags) >= limit {
			break
		}
		var page []string
		page, next, err = r.tagPage(ctx, next)
		if err != nil {
			return nil, false, err
		}
		known := len(tags)
		for _, tag := range page {
			if !seen[tag] {
				seen[tag] = true
				tags = append(tags, tag)
			}
		}
		if next == "" {
			return tags, true, nil
		}
		if len(page) > 0 && len(tags) == known {
			break // a circle
		}
	}
	return tags, false, nil
}

// tagPage reads one page. next is the address of the one after it, or "".
func (r *Repository) tagPage(ctx context.Context, address string) (tags []string, next string, err error) {
	op := "list tags of " + r.name
	a, err := r.host.read(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    address,
		header: http.Header{"Accept": {"application/json"}},
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusOK, http.StatusNotFound},
	}, maxTagList)
	if err != nil || a.status == http.StatusNotFound {
		return nil, "", err
	}
	var page struct {
		Tags []string `json:"tags"`
	}
	if err = json.Unmarshal(a.body, &page); err == nil {
		next, err = nextPage(address, strings.Join(a.header.Values("Link"), ", "))
	}
	if err != nil {
		return nil, "", &Error{Op: op, registry: r.Registry(), Status: a.status, message: clip(err.Error())}
	}
	return page.Tags, next, nil
}

// nextLink is the link of a Link header that leads to the next page (RFC 8288).
var nextLink = regexp.MustCompile(`<([^<>]*)>[^<>]*;\s*rel\s*=\s*"?next"?\s*(?:$|[;,])`)

// nextPage reads a Link header: <address>; rel="next". It does not lead to another
// host, which would be shown our credentials.
func nextPage(from, link string) (string, error) {
	found := nextLink.FindStringSubmatch(link)
	if found == nil {
		// A link that cannot be read may be the one: what is left out would seem not to
		// be there.
		if strings.Contains(link, "next") {
			return "", errors.New("the link to the next page of the list cannot be read")
		}
		return "", nil
	}
	asked, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	next, here, err := within(found[1], asked)
	if err != nil || !here || next.EscapedPath() == asked.EscapedPath() && next.RawQuery == asked.RawQuery {
		return "", errors.New("the link to the next page of the list leads elsewhere, or to the same page")
	}
	return next.String(), nil
}
