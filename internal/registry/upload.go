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
)

const (
	// smallBlob is the size in bytes up to which an upload is a small request.
	smallBlob = 1 << 20

	// maxRestarts is how often a blob is sent from its start because of an answer that
	// would be the same again for most: a session that is unknown, another digest.
	maxRestarts = 2

	// worthTries is how many bytes an upload has to get further for its tries to begin
	// anew.
	worthTries = 1 << 20
)

// Content is where an upload's bytes come from.
type Content interface {
	// Open reads from offset on. It is called again for an upload that goes on
	// after it broke.
	Open(ctx context.Context, offset int64) (io.ReadCloser, error)
}

// Put uploads the bytes and finishes the upload. Bytes whose digest is wrong are
// never finished: the error is a [*MismatchError]. An upload that breaks goes on
// at the offset that the registry has, where it can tell; else it starts again. Where
// only the answer was lost, the registry is asked first whether it has the blob. A
// registry that refuses the way in which the bytes come gets them in another, once.
// It returns the number of bytes sent.
func (u *Upload) Put(ctx context.Context, content Content) (sent int64, err error) {
	s := &sending{Upload: u, content: content, hash: newCheckpoints(u.digest, u.size), way: u.repository.host.way()}
	for {
		err := s.send(ctx)
		if err == nil {
			s.learn()
			u.repository.landed()
			return s.sent, nil
		}
		there, err := s.recover(ctx, err)
		if err != nil || there {
			return s.sent, err
		}
	}
}

// sending is a blob on its way.
type sending struct {
	*Upload

	content Content
	hash    *checkpoints
	way     way
	// changed is set once the registry has refused one way, and turned once that was a
	// PUT, or a PATCH.
	changed, turned bool
	// offset is that of the next byte, and best the furthest that the registry has had.
	offset, best int64
	// failures counts the tries since best grew, and restarts those from the start that
	// the registry's answers asked for.
	failures, restarts int
	patience           patience
	// method and packed are the last request's: its method, and its bytes.
	method string
	packed int64
	sent   int64
}

// send uploads from the offset on.
func (s *sending) send(ctx context.Context) error {
	for s.size-s.offset > 0 {
		chunk := s.way.size(s.minChunk, s.size-s.offset)
		if !s.way.patchLast && chunk == s.size-s.offset {
			break
		}
		resp, err := s.request(ctx, http.MethodPatch, chunk) //nolint:bodyclose // request has drained it
		if err != nil {
			return err
		}
		if resp.Header.Get("Location") != "" {
			if err := s.moveTo("upload blob", resp); err != nil {
				return err
			}
		}
		s.offset += chunk
		s.advance()
	}
	resp, err := s.request(ctx, http.MethodPut, s.size-s.offset) //nolint:bodyclose // request has drained it
	if err != nil {
		return err
	}
	s.finished = true
	return s.repository.createdSame("upload blob "+s.digest.String(), resp, s.digest)
}

// advance notes how far the registry has got.
func (s *sending) advance() {
	if s.offset >= s.best+min(worthTries, s.size/100+1) {
		s.best, s.failures = s.offset, 0
		if !s.turned {
			s.restarts = 0
		}
	}
}

func (s *sending) request(ctx context.Context, method string, size int64) (*http.Response, error) {
	s.method, s.packed = method, size
	r, offset := s.repository, s.offset
	c := call{
		op:     fmt.Sprintf("upload blob %s to %s", s.digest, r.name),
		method: method,
		url:    s.location.String(),
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		size:   size,
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusAccepted, http.StatusCreated, http.StatusNoContent, http.StatusOK},
		once:   true,
		open: func(ctx context.Context) (io.ReadCloser, error) {
			body, err := s.hash.open(ctx, s.content, offset, size)
			if err != nil {
				return nil, &sourceError{err}
			}
			return &countedBody{ReadCloser: body, of: s, offset: offset}, nil
		},
	}
	if size > smallBlob {
		c.requestSize = large
	}
	if size == 0 && s.size > 0 {
		c.open = noBody
	}
	if method == http.MethodPut {
		c.url = withQuery(s.location, "digest="+url.QueryEscape(s.digest.String()))
	}
	// All of a blob in one request is a stream; what is a part says which.
	if size > 0 && (offset > 0 || method == http.MethodPatch && size < s.size) {
		c.header.Set("Content-Range", fmt.Sprintf("%d-%d", offset, offset+size-1))
	}
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
	of     *sending
	offset int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.offset += int64(n)
	b.of.sent += int64(n)
	b.of.reached = max(b.of.reached, b.offset)
	return n, err
}

// recover sees to what comes after a failure: the rest of the blob, or all of it, or
// nothing more. there means that the registry has the blob.
func (s *sending) recover(ctx context.Context, err error) (there bool, _ error) {
	h := s.repository.host
	if source, ok := errors.AsType[*sourceError](err); ok {
		return false, source.err
	}
	failed := asError(err)
	if ctx.Err() != nil {
		return false, fmt.Errorf("upload blob %s: %w", s.digest, context.Cause(ctx))
	}
	restart := false
	switch {
	case failed == nil || failed.RetryAfter > h.client.opts.MaxWait:
		return false, err
	case s.changeWay(failed):
		restart = true
	case s.turned && s.offset == 0 && failed.Status == http.StatusNotFound && !failed.Has("BLOB_UPLOAD_UNKNOWN"):
		return false, err
	case s.losesSession(failed) || failed.Status == http.StatusUnauthorized:
		if s.restarts++; s.restarts > maxRestarts {
			return false, err
		}
		restart = failed.Status != http.StatusUnauthorized
	case failed.Passing():
		s.failures++
	default:
		return false, err
	}
	open := s.method == http.MethodPut && s.reached == s.size && failed.leavesOpen()
	last := s.failures >= h.client.opts.Attempts
	if last && !open {
		return false, err
	}
	h.client.opts.Logger.Debug().Err(err).Str("digest", s.digest.String()).Msg("upload broke off and goes on")
	if err := h.pause(ctx, max(1, s.failures), failed.RetryAfter); err != nil {
		return false, fmt.Errorf("upload blob %s: %w", s.digest, err)
	}
	if open && h.ask(ctx, s.patience.with(failed), s.isThere) {
		return true, nil
	}
	if last {
		return false, err
	}
	return s.resume(ctx, restart)
}

func (s *sending) isThere(ctx context.Context) (bool, error) {
	return s.repository.hasBlob(ctx, s.digest, 1)
}

// losesSession tells whether an answer means that a session has to begin anew. The
// bytes that left had the right digest, or they would not all have left: a registry
// that finds another one has mixed up what came before a break.
func (s *sending) losesSession(e *Error) bool {
	if e.Has("NAME_UNKNOWN") || e.Has("NAME_INVALID") {
		return false
	}
	return e.Status == http.StatusNotFound || e.Status == http.StatusRequestedRangeNotSatisfiable && s.offset > 0 ||
		e.Has("BLOB_UPLOAD_INVALID") || e.Has("BLOB_UPLOAD_UNKNOWN") || e.Has("DIGEST_INVALID")
}

// resume asks how far the registry has got, or begins a new session. there means that
// the blob is there.
func (s *sending) resume(ctx context.Context, restart bool) (there bool, err error) {
	if !restart {
		offset, err := s.progress(ctx)
		// A registry that tells of more than it was sent does not know what it has.
		if err == nil && offset > 0 && offset <= min(s.reached, s.size) {
			s.offset = offset
			s.advance()
			return false, nil
		}
		if ctx.Err() != nil {
			return false, fmt.Errorf("resume upload: %w", context.Cause(ctx))
		}
		if failed := asError(err); failed != nil && failed.Passing() {
			return false, err
		}
	}
	s.offset, s.reached = 0, 0
	return s.begin(ctx)
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

// rangeEnd is the number of bytes that a Range header of an upload tells, or 0 where it
// tells none. "0-0" is what registries say of an empty upload, as of one byte.
func rangeEnd(header string) int64 {
	first, last, _ := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if first != "0" || err != nil || n <= 0 || n+1 < 0 {
		return 0
	}
	return n + 1
}
