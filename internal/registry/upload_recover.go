package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// maxRestarts is how often a blob is sent from its start because of an answer that
// would be the same again for most: a session that is unknown, another digest.
const maxRestarts = 2

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
	case failed == nil || failed.RetryAfter > h.client.opts.maxWait:
		return false, err
	case s.changeMode(failed):
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
	a, err := r.host.request(ctx, r.caller, call{
		op:     op,
		method: http.MethodGet,
		url:    u.location.String(),
		scopes: pushScopes(r.name),
		ok:     []int{http.StatusNoContent, http.StatusAccepted, http.StatusOK},
	})
	if err != nil {
		return 0, err
	}
	if a.header.Get("Location") != "" {
		err = u.moveTo(op, a)
	}
	return rangeEnd(a.header.Get("Range")), err
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
