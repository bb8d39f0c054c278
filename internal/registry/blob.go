package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/loopback"
	"github.com/drayage/drayage/internal/registry/pacer"
)

// ReadBlob streams a blob from offset on. A stream that breaks or stands still goes
// on where it was, as long as that makes progress. Its bytes are not verified: the
// caller knows the digest. Registries send readers on to their storage; credentials
// do not go along.
func (r *Repository) ReadBlob(ctx context.Context, digest v1.Hash, offset int64) (io.ReadCloser, error) {
	b := &blobBody{ctx: ctx, repository: r, digest: digest, at: offset}
	if err := b.open(); err != nil {
		return nil, err
	}
	return b, nil
}

// openBlob begins one stream.
func (r *Repository) openBlob(ctx context.Context, digest v1.Hash, offset int64) (io.ReadCloser, error) {
	c := call{
		op:     "read blob " + r.name + "@" + digest.String(),
		method: http.MethodGet,
		url:    r.blobURL(digest),
		header: http.Header{},
		scopes: pullScopes(r.name),
		ok: []int{http.StatusOK, http.StatusPartialContent, http.StatusMovedPermanently, http.StatusFound,
			http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect},
		requestSize: pacer.Large,
		stored:      true,
	}
	if offset > 0 {
		c.header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	resp, err := r.host.do(ctx, r.caller, c) //nolint:bodyclose // it is drained below, or handed to the caller
	if err != nil {
		return nil, err
	}
	for range maxRedirects {
		if resp.StatusCode < 300 {
			return r.host.fromOffset(c.op, resp, offset)
		}
		next, err := resp.Location()
		drain(resp)
		if err != nil {
			return nil, &Error{Op: c.op, registry: r.Registry(), Status: resp.StatusCode, message: errNoLocation.Error()}
		}
		if resp, err = r.follow(ctx, c, next); err != nil { //nolint:bodyclose // as above
			if resp, err = r.followOwn(ctx, c, next, err); err != nil { //nolint:bodyclose // as above
				return nil, err
			}
		}
	}
	drain(resp)
	return nil, &Error{Op: c.op, registry: r.Registry(), Status: resp.StatusCode, message: "it redirects the request too often"}
}

// follow asks a registry's storage, without the registry's credentials.
func (r *Repository) follow(ctx context.Context, c call, next *url.URL) (*http.Response, error) {
	if next.Scheme != "https" && !r.host.endpoint.plain {
		return nil, &ElsewhereError{registry: r.Registry(), Host: r.host.client.tell(next.Host, false)}
	}
	if !r.host.endpoint.plain && !loopback.Is(r.host.name.RegistryStr()) && loopback.Is(next.Hostname()) {
		return nil, &ElsewhereError{registry: r.Registry(), Host: r.host.client.tell(next.Host, false)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, next.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.op, err)
	}
	req.Header = c.header.Clone()
	req.Header.Set("User-Agent", r.host.client.opts.UserAgent)
	resp, err := r.host.fetch(req, 0)
	if err != nil {
		return nil, &Error{Op: c.op, registry: r.host.client.tell(next.Host, false), err: r.host.unreached(unwrapURL(err)), Credential: anonymously}
	}
	if resp.StatusCode >= 400 {
		return nil, r.host.answerError(c.op, r.host.client.tell(next.Host, false), authorization{kind: anonymously}, resp)
	}
	if isPage(resp) {
		resp.Body.Close()
		return nil, &Error{Op: c.op, registry: next.Host, err: foreignAnswer("an HTML page came instead of the blob")}
	}
	return resp, nil
}

// followOwn asks with the registry's credentials, if it is the registry itself that
// refused to answer without.
func (r *Repository) followOwn(ctx context.Context, c call, next *url.URL, failed error) (*http.Response, error) {
	base, err := url.Parse(r.host.base)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.op, err)
	}
	own, err := r.host.own(next.String(), base)
	if refused := asError(failed); err != nil || refused == nil || !refused.Denied() {
		return nil, failed
	}
	c.url, c.stored = own.String(), false
	return r.host.do(ctx, r.caller, c)
}

// fromOffset skips what a server sent that does not know ranges, or gives more than
// was asked for.
func (h *host) fromOffset(op string, resp *http.Response, offset int64) (io.ReadCloser, error) {
	begins := int64(0)
	if resp.StatusCode == http.StatusPartialContent {
		begins = rangeBegin(resp.Header.Get("Content-Range"), offset)
	}
	if begins > offset {
		resp.Body.Close()
		return nil, &Error{Op: op, registry: h.name.RegistryStr(), Status: resp.StatusCode,
			message: fmt.Sprintf("it sent the blob from byte %d on, and was asked for it from byte %d on", begins, offset)}
	}
	if _, err := io.CopyN(io.Discard, resp.Body, offset-begins); err != nil {
		resp.Body.Close()
		return nil, h.brokeOff(op, err)
	}
	return resp.Body, nil
}

// rangeBegin is where a Content-Range begins ("bytes 5-9/10"; RFC 9110, section 14.4),
// or otherwise where it cannot be read.
func rangeBegin(header string, otherwise int64) int64 {
	first, _, found := strings.Cut(strings.TrimPrefix(header, "bytes "), "-")
	if n, err := strconv.ParseInt(first, 10, 64); found && err == nil && n >= 0 {
		return n
	}
	return otherwise
}
