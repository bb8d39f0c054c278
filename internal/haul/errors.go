package haul

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// Class is what kind of failure a haul met, and with it whether another try
// makes sense.
type Class string

const (
	// Evicted means that bytes that the image needs are nowhere any more. Final.
	Evicted Class = "evicted"
	// Denied means that the registry or the cache refused the credentials. Final.
	Denied Class = "denied"
	// Malformed means that the spec, or the bytes that it names, are wrong. Final.
	Malformed Class = "malformed"
	// Rejected means that the registry does not take the image. Final.
	Rejected Class = "rejected"
	// Taken means that a tag points to another image and must not be written over. Final.
	Taken Class = "taken"
	// Unavailable means that the registry or the cache could not be reached, or was in
	// trouble. To be tried again.
	Unavailable Class = "unavailable"
	// Throttled means that the registry asks for patience. To be tried again, RetryAfter
	// later.
	Throttled Class = "throttled"
)

// Final tells whether another try would fail in the same way.
func (c Class) Final() bool { return c != Unavailable && c != Throttled }

// Error is a haul that failed. Its text is for the person whose image it is, and
// wants nothing but the target and the destination before it.
type Error struct {
	Class Class
	// RetryAfter is how long to wait at least before another try, or zero.
	RetryAfter time.Duration
	// Source says that it is about where the bytes come from, the remote cache or the
	// base's registry: the destination has no part in it.
	Source bool
	Text   string
	Err    error
}

func (e *Error) Error() string { return e.Text }

func (e *Error) Unwrap() error { return e.Err }

// what names something with a digest for people: "manifest sha256:… (1.2 KiB)".
func what(role string, digest v1.Hash, size int64) string {
	return fmt.Sprintf("%s %s (%s)", role, digest, bytesText(size))
}

// what names a blob for people: "layer sha256:… (12 MiB) of //app:layer".
func (s *shipment) what(blob pushspec.Blob) string {
	text := what(s.role(blob), blob.Digest, blob.Size)
	if target := blob.Target(); target != "" {
		text += " of " + target
	}
	return text
}

func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if value < 10 {
		return fmt.Sprintf("%.1f %ciB", value, units[unit])
	}
	return fmt.Sprintf("%.0f %ciB", value, units[unit])
}

// evicted is the error of a blob that nobody has. Why that is so, and what to do about
// it, is known to those who know of the build.
func evicted(subject string, err error) *Error {
	return &Error{Class: Evicted, Source: true, Text: subject + " is not in the remote cache", Err: err}
}

// failure makes the error of a haul out of what went wrong with its subject. The
// caller's own end is handed on as it is.
func failure(ctx context.Context, subject string, err error) error {
	// Not the context's cause: it can be another blob's failure, which is no
	// concern of those who wait for this one.
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", subject, ctx.Err())
	}
	if all, ok := errors.AsType[sourcesError](err); ok {
		return sourcesFailure(ctx, subject, all)
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	if base, ok := errors.AsType[*baseError](err); ok {
		return baseFailure(subject, base)
	}
	if _, ok := errors.AsType[*cas.NotFoundError](err); ok {
		return evicted(subject, err)
	}
	e := &Error{Class: Unavailable, Text: fmt.Sprintf("%s: %v", subject, err), Err: err}
	e.judge(err)
	return e
}

const adviceRealm = "; have the registry name its token service by a host name, and by HTTPS if it is itself spoken to so"

// judge finds the class of an error.
func (e *Error) judge(err error) {
	var wrongInCache *cas.MismatchError
	var wrong *registry.MismatchError
	if errors.As(err, &wrongInCache) || errors.As(err, &wrong) {
		e.Class, e.Source = Malformed, true
		e.Text += "; nothing was written under that digest: rebuild the target, and check the cache's storage"
		return
	}
	if _, ok := errors.AsType[*pushspec.Error](err); ok {
		e.Class = Malformed
		return
	}
	if _, ok := errors.AsType[*registry.ElsewhereError](err); ok {
		e.Class = Rejected
		e.Text += "; push to the registry under its own name"
		return
	}
	if _, ok := errors.AsType[*registry.RealmError](err); ok {
		e.Class = Rejected
		e.Text += adviceRealm
		return
	}
	if call, ok := errors.AsType[*cas.CallError](err); ok {
		e.RetryAfter, e.Source = call.RetryAfter, true
		switch {
		case call.Denied():
			e.Class = Denied
			e.Text += "; check the credentials for the remote cache"
		case call.Final():
			e.Class = Rejected
		}
		return
	}
	var answer *registry.Error
	if !errors.As(err, &answer) {
		return
	}
	e.RetryAfter = answer.RetryAfter
	switch {
	case answer.Denied():
		e.Class = Denied
		e.Text += "; check that these credentials may push there"
	case answer.Throttled():
		e.Class = Throttled
	case !answer.Passing():
		e.Class = Rejected
	}
}

// isUnknown tells whether a registry refused a manifest because it lacks what it
// refers to.
func isUnknown(err error) bool {
	_, answer := destinationError(err)
	return answer != nil && answer.Unknown()
}

// destinationError is what the destination's registry answered, or nil where an error is
// about something else.
func destinationError(err error) (*Error, *registry.Error) {
	failed, ok := errors.AsType[*Error](err)
	if !ok || failed.Source {
		return nil, nil
	}
	answer, ok := errors.AsType[*registry.Error](failed)
	if !ok {
		return nil, nil
	}
	return failed, answer
}
