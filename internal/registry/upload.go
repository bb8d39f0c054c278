package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// smallBlob is the size in bytes up to which an upload is a small request.
const smallBlob = 1 << 20

// Content is where an upload's bytes come from.
type Content interface {
	// Open reads from offset on. It is called again for an upload that goes on
	// after it broke.
	Open(ctx context.Context, offset int64) (io.ReadCloser, error)
}

// HasBlob tells whether the repository has a blob.
func (r *Repository) HasBlob(ctx context.Context, digest v1.Hash) (bool, error) {
	resp, err := r.host.do(ctx, r.caller, call{
		op:     "look up blob " + r.name + "@" + digest.String(),
		method: http.MethodHead,
		url:    r.host.base + "/v2/" + r.name + "/blobs/" + digest.String(),
		scopes: pushScopes(r.name),
		// Some registries send a HEAD on to where the blob is stored: it is there.
		ok: append(r.lookupStatuses(), http.StatusTemporaryRedirect, http.StatusFound, http.StatusSeeOther),
	})
	if err != nil {
		return false, err
	}
	drain(resp)
	return resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusForbidden, nil
}

// Upload is an upload session of one blob.
type Upload struct {
	repository *Repository
	digest     v1.Hash
	size       int64
	location   *url.URL
	// from is the repository that a mount was asked from.
	from string
}

// Start begins the upload of a blob. With a repository to mount from, the
// registry may find that there is nothing to upload: the upload is nil then. A
// mount from the repository itself asks whether the blob is there already.
func (r *Repository) Start(ctx context.Context, digest v1.Hash, size int64, from string) (*Upload, error) {
	u := &Upload{repository: r, digest: digest, size: size, from: from}
	mounted, err := u.begin(ctx)
	if err != nil {
		return nil, err
	}
	if mounted {
		return nil, nil
	}
	return u, nil
}

func (u *Upload) begin(ctx context.Context) (mounted bool, err error) {
	r := u.repository
	target := r.host.base + "/v2/" + r.name + "/blobs/uploads/"
	op := "begin upload to " + r.name
	if u.from != "" {
		target += "?" + url.Values{"mount": {u.digest.String()}, "from": {u.from}}.Encode()
	}
	resp, err := r.host.do(ctx, r.caller, call{
		op:     op,
		method: http.MethodPost,
		url:    target,
		open:   noBody,
		scopes: pushScopes(r.name, u.from),
		ok:     []int{http.StatusCreated, http.StatusAccepted},
	})
	if err != nil {
		return false, err
	}
	drain(resp)
	if resp.StatusCode == http.StatusCreated {
		if u.from == r.name {
			r.host.learned.selfMounts.Store(true)
		}
		return true, nil
	}
	return false, u.moveTo(op, resp)
}

// noBody makes a request say that it is empty: some registries insist.
func noBody(context.Context) (io.ReadCloser, error) { return http.NoBody, nil }

// moveTo takes the session's next address from an answer. It has to be on the
// registry itself: an image is not sent to wherever an answer points.
func (u *Upload) moveTo(op string, resp *http.Response) error {
	h := u.repository.host
	location, err := resp.Location()
	if err != nil {
		return &Error{Op: op, Registry: h.name.RegistryStr(), Status: resp.StatusCode, Message: "the answer has no usable Location"}
	}
	if location.Host != resp.Request.URL.Host {
		return &ElsewhereError{Registry: h.name.RegistryStr(), Host: h.client.tell(location.Host, false)}
	}
	// A registry behind a proxy that ends TLS may not know that it is spoken to
	// over TLS.
	location.Scheme = resp.Request.URL.Scheme
	u.location = location
	return nil
}

// Put uploads the bytes and finishes the upload. Bytes whose digest is wrong are
// never finished: the error is a [*MismatchError]. An upload that breaks goes on
// at the offset that the registry has, where it can tell; else it starts again.
// It returns the number of bytes sent.
func (u *Upload) Put(ctx context.Context, content Content) (sent int64, err error) {
	h := u.repository.host
	hash := newCheckpoints(u.digest, u.size)
	offset := int64(0)
	for attempt := 1; ; attempt++ {
		from := offset
		err := u.send(ctx, content, hash, offset, &sent)
		if err == nil {
			return sent, nil
		}
		if source, ok := errors.AsType[*sourceError](err); ok {
			return sent, source.err
		}
		failed := asError(err)
		if ctx.Err() != nil {
			return sent, fmt.Errorf("upload blob %s: %w", u.digest, context.Cause(ctx))
		}
		// The bytes that left had the right digest, or they would not all have left: a
		// registry that finds another one has mixed up what came before a break.
		lost := failed != nil && (failed.Status == http.StatusNotFound || failed.Status == http.StatusRequestedRangeNotSatisfiable ||
			failed.Has("BLOB_UPLOAD_INVALID") || failed.Has("DIGEST_INVALID"))
		again := failed != nil && (failed.Passing() || lost || failed.Status == http.StatusUnauthorized)
		if !again || attempt >= h.client.opts.Attempts || failed.RetryAfter > h.client.opts.MaxWait {
			return sent, err
		}
		h.client.opts.Logger.Debug().Err(err).Str("digest", u.digest.String()).Msg("upload broke off and goes on")
		if err := h.pause(ctx, attempt, failed.RetryAfter); err != nil {
			return sent, fmt.Errorf("upload blob %s: %w", u.digest, err)
		}
		offset, err = u.resume(ctx, lost)
		if err != nil {
			return sent, err
		}
		if offset < 0 {
			return sent, nil
		}
		if offset > from {
			attempt = 0
		}
	}
}

// resume asks how far the registry has got, or begins a new session. An offset
// below zero means that the blob is there.
func (u *Upload) resume(ctx context.Context, lost bool) (int64, error) {
	if !lost {
		offset, err := u.progress(ctx)
		if err == nil && offset > 0 && offset < u.size {
			return offset, nil
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("resume upload: %w", context.Cause(ctx))
		}
		if failed := asError(err); failed != nil && failed.Passing() {
			return 0, err
		}
	}
	mounted, err := u.begin(ctx)
	if mounted {
		return -1, nil
	}
	return 0, err
}

// progress asks the session how many bytes the registry has.
func (u *Upload) progress(ctx context.Context) (int64, error) {
	r := u.repository
	op := "resume upload to " + r.name
	resp, err := r.host.do(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    u.location.String(),
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusNoContent, http.StatusAccepted, http.StatusOK},
	})
	if err != nil {
		return 0, err
	}
	drain(resp)
	if resp.Header.Get("Location") != "" {
		err = u.moveTo(op, resp)
	}
	return rangeEnd(resp.Header.Get("Range")), err
}

// rangeEnd is the number of bytes that a Range header of an upload tells.
// "0-0" is what registries say of an empty upload, as of one byte.
func rangeEnd(header string) int64 {
	_, last, found := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if !found || err != nil || n <= 0 {
		return 0
	}
	return n + 1
}

// send uploads from offset on.
func (u *Upload) send(ctx context.Context, content Content, hash *checkpoints, offset int64, sent *int64) error {
	r := u.repository
	chunk := r.host.quirks.Chunk
	for chunk > 0 && u.size-offset > chunk {
		resp, err := u.request(ctx, http.MethodPatch, content, hash, offset, chunk, sent) //nolint:bodyclose // request has drained it
		if err != nil {
			return err
		}
		if err := u.moveTo("upload blob", resp); err != nil {
			return err
		}
		offset += chunk
	}
	_, err := u.request(ctx, http.MethodPut, content, hash, offset, u.size-offset, sent) //nolint:bodyclose // request has drained it
	return err
}

func (u *Upload) request(ctx context.Context, method string, content Content, hash *checkpoints, offset, size int64, sent *int64) (*http.Response, error) {
	r := u.repository
	c := call{
		op:     fmt.Sprintf("upload blob %s to %s", u.digest, r.name),
		method: method,
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		size:   size,
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusAccepted, http.StatusCreated, http.StatusNoContent},
		once:   true,
		open: func(ctx context.Context) (io.ReadCloser, error) {
			body, err := hash.open(ctx, content, offset, size)
			if err != nil {
				return nil, &sourceError{err}
			}
			return &countedBody{ReadCloser: body, sent: sent}, nil
		},
	}
	if size > smallBlob {
		c.lane = large
	}
	target := *u.location
	if method == http.MethodPut {
		query := target.Query()
		query.Set("digest", u.digest.String())
		target.RawQuery = query.Encode()
		c.ok = []int{http.StatusCreated, http.StatusNoContent}
	}
	if method == http.MethodPatch || offset > 0 {
		c.header.Set("Content-Range", fmt.Sprintf("%d-%d", offset, offset+size-1))
	}
	c.url = target.String()
	resp, err := r.host.do(ctx, r.caller, c)
	if err != nil {
		return nil, err
	}
	drain(resp)
	return resp, nil
}

// countedBody counts the bytes that leave.
type countedBody struct {
	io.ReadCloser
	sent *int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	*b.sent += int64(n)
	return n, err
}

// Mounts tells whether the registry may grant mounts from other repositories.
func (r *Repository) Mounts() bool { return !r.host.quirks.NoMount }

// MountsItself tells whether a mount from the repository itself is the way to
// ask whether a blob is there: it is known to work here, or worth a try.
func (r *Repository) MountsItself(try bool) bool {
	return !r.host.quirks.NoSelfMount && (try || r.host.learned.selfMounts.Load())
}
