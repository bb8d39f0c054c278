package haul

import (
	"context"
	"errors"
	"fmt"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

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

const adviceRealm = "; have the registry name its token service by a host name, with HTTPS if the registry itself is reached over HTTPS"

// judge finds the class of an error.
func (e *Error) judge(err error) {
	switch {
	case is[*cas.MismatchError](err), is[*registry.MismatchError](err):
		e.Class, e.Source = Malformed, true
		e.Text += "; nothing was written under that digest: rebuild the target, and check the cache's storage"
		return
	case is[*pushspec.Error](err):
		e.Class = Malformed
		return
	case is[*registry.ElsewhereError](err):
		e.Class = Rejected
		e.Text += "; push to the registry under its own name"
		return
	case is[*registry.RealmError](err):
		e.Class = Rejected
		e.Text += adviceRealm
		return
	}
	if call, ok := errors.AsType[*cas.CallError](err); ok {
		e.judgeCall(call)
	} else if answer, ok := errors.AsType[*registry.Error](err); ok {
		e.judgeAnswer(answer)
	}
}

// judgeCall finds the class of what the cache answered.
func (e *Error) judgeCall(call *cas.CallError) {
	e.RetryAfter, e.Source = call.RetryAfter, true
	switch {
	case call.Denied():
		e.Class = Denied
		e.Text += "; check the credentials for the remote cache"
	case call.Final():
		e.Class = Rejected
	}
}

// judgeAnswer finds the class of what the destination's registry answered.
func (e *Error) judgeAnswer(answer *registry.Error) {
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

// is tells whether an error is of a type.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// asRefusal is the error of a haul if it says that the registry does not take something.
func asRefusal(err error) (*Error, bool) {
	failed, ok := errors.AsType[*Error](err)
	return failed, ok && (failed.Class == Rejected || failed.Class == Denied)
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
