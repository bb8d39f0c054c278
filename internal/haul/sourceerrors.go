package haul

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// sourcesError says why none of a blob's sources gave it.
type sourcesError []error

func (e sourcesError) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e sourcesError) Unwrap() []error { return e }

// hope is the order in which the failures of several sources count: what may pass first,
// then what somebody can mend.
var hope = []Class{Throttled, Unavailable, Denied, Rejected, Malformed, Evicted}

// sourcesFailure makes one error of a haul out of those of a blob's sources.
func sourcesFailure(ctx context.Context, subject string, all sourcesError) error {
	var best *Error
	texts := make([]string, len(all))
	for i, one := range all {
		err := failure(ctx, subject, one)
		failed, ok := errors.AsType[*Error](err)
		if !ok {
			return err // the caller's own end
		}
		texts[i] = failed.Text
		if best == nil || slices.Index(hope, failed.Class) < slices.Index(hope, best.Class) {
			best = failed
		}
	}
	return &Error{Class: best.Class, RetryAfter: best.RetryAfter, Source: true, Err: errors.Join(all...), Text: strings.Join(texts, "; ")}
}
