package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/drayage/drayage/internal/registry/pacer"
)

const (
	// maxSmallUpload is the size in bytes up to which an upload is a small request.
	maxSmallUpload = 1 << 20

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
// registry that refuses the mode in which the bytes come gets them in another, once.
// It returns the number of bytes sent.
func (u *Upload) Put(ctx context.Context, content Content) (sent int64, err error) {
	s := &sending{Upload: u, content: content, hash: newCheckpoints(u.digest, u.size), mode: u.repository.host.uploadMode()}
	for {
		err := s.send(ctx)
		if err == nil {
			s.learnMode()
			u.repository.noteWritten()
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
	mode    uploadMode
	// changed is set once the registry has refused one mode, and turned once that was a
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
		chunk := s.mode.size(s.minChunk, s.size-s.offset)
		if !s.mode.patchLast && chunk == s.size-s.offset {
			break
		}
		a, err := s.request(ctx, http.MethodPatch, chunk)
		if err != nil {
			return err
		}
		if a.header.Get("Location") != "" {
			if err := s.moveTo("upload blob", a); err != nil {
				return err
			}
		}
		s.offset += chunk
		s.advance()
	}
	a, err := s.request(ctx, http.MethodPut, s.size-s.offset)
	if err != nil {
		return err
	}
	s.finished = true
	return s.repository.createdSame("upload blob "+s.digest.String(), a, s.digest)
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

func (s *sending) request(ctx context.Context, method string, size int64) (*answer, error) {
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
	if size > maxSmallUpload {
		c.requestSize = pacer.Large
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
	return r.host.request(ctx, r.caller, c)
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
