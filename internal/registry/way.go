package registry

import (
	"net/http"
	"slices"
	"time"
)

// wayLife is for how long a registry that refused one way of uploading is given the
// other at once.
const wayLife = time.Hour

// fallbackChunks are the sizes in bytes that are tried where a request was too large:
// 16 MiB is under what proxies allow that think of uploads, 1 MiB is nginx's default.
var fallbackChunks = []int64{16 << 20, 1 << 20}

// way is how the bytes of a blob come: in one PUT, or in chunks, the last of them in
// the PUT or each in a PATCH.
type way struct {
	// chunk is the most that comes in one request, or 0 for any size.
	chunk int64
	// patchLast means that no bytes come in the PUT.
	patchLast bool
}

// size is how much of the rest comes in the next request.
func (w way) size(least, rest int64) int64 {
	if w.chunk <= 0 {
		return rest
	}
	return min(rest, max(w.chunk, least))
}

// way is the one that the registry is known to take.
func (h *host) way() way {
	w, now := way{chunk: h.quirks().Chunk}, h.now()
	if h.learned.small.holds(now) {
		w.chunk = h.learned.chunk.Load()
	}
	w.patchLast = h.learned.patches.holds(now)
	return w
}

// changeWay changes the way if that was what the registry refused, or a proxy before
// it, and there is another.
func (s *sending) changeWay(e *Error) bool {
	switch {
	case tooLarge(e, s.offset):
		for _, chunk := range fallbackChunks {
			if chunk < s.packed && chunk >= s.minChunk {
				s.way.chunk, s.changed = chunk, true
				return true
			}
		}
	case s.turned || !refusesMethod(e, s.offset):
		return false
	case s.method == http.MethodPatch:
		s.repository.host.learned.patches.clear()
		s.way, s.changed, s.turned, s.restarts = way{}, true, true, maxRestarts-1
		return true
	}
	if s.turned || s.method != http.MethodPut || s.way.patchLast || s.packed == 0 {
		return false
	}
	s.way.patchLast, s.changed, s.turned, s.restarts = true, true, true, maxRestarts-1
	return true
}

// tooLarge tells whether a request had too many bytes. A range that cannot be right
// is 416 as well, but there is none at the start.
func tooLarge(e *Error, offset int64) bool {
	return e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusRequestedRangeNotSatisfiable && offset == 0
}

// refusesMethod tells whether an answer to a request at an offset may be about how the
// bytes came, and not about the session or the bytes.
func refusesMethod(e *Error, offset int64) bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound:
		if offset > 0 {
			return false
		}
		return !slices.ContainsFunc([]string{"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "SIZE_INVALID", "NAME_UNKNOWN", "NAME_INVALID", "DENIED"}, e.Has)
	case http.StatusMethodNotAllowed, http.StatusLengthRequired, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusNotImplemented:
		return true
	}
	return false
}

// learn remembers the way that went well.
func (s *sending) learn() {
	if !s.changed {
		return
	}
	h := s.repository.host
	if s.way.chunk != h.quirks().Chunk {
		h.learned.chunk.Store(s.way.chunk)
		h.learned.small.set(h.now(), wayLife)
	}
	if s.way.patchLast {
		h.learned.patches.set(h.now(), wayLife)
	}
}
