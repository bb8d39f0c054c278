package haul

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// baseError is of a repository that a base's layer is read from. What that one refuses,
// or says of itself, is not the destination's.
type baseError struct {
	// repository is HOST/NAME.
	repository string
	// copied says that it is where an image is copied from, and no base's.
	copied bool
	err    error
}

func (e *baseError) Error() string { return fmt.Sprintf("read it from %s: %v", e.repository, e.err) }
func (e *baseError) Unwrap() error { return e.err }

// baseBody is a stream out of such a repository.
type baseBody struct {
	io.ReadCloser
	failed func(error) error
	read   *atomic.Int64 // may be nil
}

func (b *baseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.read != nil {
		b.read.Add(int64(n))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.failed(err)
	}
	return n, err
}

// openRegistry streams a base layer out of another repository.
func (c *content) openRegistry(ctx context.Context, from string, offset int64) (io.ReadCloser, error) {
	host, repository, err := pushspec.CanonicalRepository(from)
	if err != nil {
		return nil, &Error{Class: Malformed, Text: fmt.Sprintf("push spec: source %q: %v", from, err), Err: err, Source: true}
	}
	failed := func(err error) error { return &baseError{from, c.shipment.request.Copied, err} }
	r, err := c.shipment.hauler.opts.Registries.Repository(host, repository,
		registry.Caller{Invocation: c.shipment.request.Invocation})
	if err != nil {
		return nil, failed(err)
	}
	over := func(bool) {}
	if c.shipment.request.Waits != nil && r.Registry() != c.shipment.to.Registry() {
		over = c.shipment.request.Waits(r.Registry())
	}
	body, err := r.ReadBlob(ctx, c.blob.Digest, offset)
	over(err == nil)
	if err != nil {
		return nil, failed(err)
	}
	return &baseBody{body, failed, c.shipment.hauler.opts.Streamed}, nil
}

// sameRegistry is the repository of a source that is in the destination's
// registry.
func (s *shipment) sameRegistry(source pushspec.Source) (string, bool) {
	if source.Repository == "" {
		return "", false
	}
	host, repository, err := pushspec.CanonicalRepository(source.Repository)
	if err != nil || host != s.to.Registry() {
		return "", false
	}
	return repository, true
}

// baseFailure makes the error of a haul out of what went wrong with a base's repository.
func baseFailure(subject string, err *baseError) *Error {
	text := err.err.Error()
	answer, answered := errors.AsType[*registry.Error](err.err)
	if answered {
		text = strings.TrimPrefix(text, answer.Op+": ")
	}
	whose := "base "
	if err.copied {
		whose = ""
	}
	e := &Error{Class: Unavailable, Source: true, Err: err, Text: fmt.Sprintf("read %s%s from %s: %s", whose, subject, err.repository, text)}
	switch {
	case is[*registry.MismatchError](err.err):
		e.Class = Malformed
		e.Text += fmt.Sprintf("; nothing was written under that digest: look at what %s serves", err.repository)
	case is[*registry.ElsewhereError](err.err):
		e.Class = Rejected
		e.Text += "; name the base by the registry that has it"
	case is[*registry.RealmError](err.err):
		e.Class = Rejected
		e.Text += adviceRealm
	case answered:
		e.judgeBase(answer, err)
	}
	return e
}

// judgeBase finds the class of what a base's registry answered.
func (e *Error) judgeBase(answer *registry.Error, err *baseError) {
	switch {
	case answer.Denied():
		e.Class, e.RetryAfter = Denied, answer.RetryAfter
		e.Text += "; check that these credentials may read " + err.repository
	case answer.Throttled():
		e.Class, e.RetryAfter = Throttled, answer.RetryAfter
	case answer.Status == http.StatusNotFound || answer.Status == http.StatusGone:
		e.Class = Evicted
		if err.copied {
			e.Text += fmt.Sprintf("; it is no longer in %s", err.repository)
		} else {
			e.Text += fmt.Sprintf("; the base is no longer in %s: use a base that is still there, and build again", err.repository)
		}
	case !answer.Passing():
		e.Class = Rejected
	}
}
