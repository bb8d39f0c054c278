package registry

import (
	"net/http"
	"slices"
	"time"
)

// modeLife is for how long a registry that refused one mode of uploading is given the
// other at once.
const modeLife = time.Hour

// fallbackChunks are the sizes in bytes that are tried where a request was too large:
// 16 MiB is under what proxies allow that think of uploads, 1 MiB is nginx's default.
var fallbackChunks = []int64{16 << 20, 1 << 20}

// uploadMode is how the bytes of a blob come: in one PUT, or in chunks, the last of them in
// the PUT or each in a PATCH.
type uploadMode struct {
	// chunk is the most that comes in one request, or 0 for any size.
	chunk int64
	// patchLast means that no bytes come in the PUT.
	patchLast bool
}

// size is how much of the rest comes in the next request.
func (m uploadMode) size(least, rest int64) int64 {
	if m.chunk <= 0 {
		return rest
	}
	return min(rest, max(m.chunk, least))
}

// uploadMode is the one that the registry is known to take.
func (h *host) uploadMode() uploadMode {
	m, now := uploadMode{chunk: h.quirks().Chunk}, h.now()
	if h.learned.chunked.holds(now) {
		m.chunk = h.learned.chunk.Load()
	}
	m.patchLast = h.learned.patchLast.holds(now)
	return m
}

// changeMode changes the mode if that was what the registry refused, or a proxy before
// it, and there is another.
func (s *sending) changeMode(e *Error) bool {
	switch {
	case tooLarge(e, s.offset):
		for _, chunk := range fallbackChunks {
			if chunk < s.packed && chunk >= s.minChunk {
				s.mode.chunk, s.changed = chunk, true
				return true
			}
		}
	case s.turned || !refusesMethod(e, s.offset):
		return false
	case s.method == http.MethodPatch:
		s.repository.host.learned.patchLast.clear()
		s.mode, s.changed, s.turned, s.restarts = uploadMode{}, true, true, maxRestarts-1
		return true
	}
	if s.turned || s.method != http.MethodPut || s.mode.patchLast || s.packed == 0 {
		return false
	}
	s.mode.patchLast, s.changed, s.turned, s.restarts = true, true, true, maxRestarts-1
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

// learnMode remembers the mode that went well.
func (s *sending) learnMode() {
	if !s.changed {
		return
	}
	h := s.repository.host
	if s.mode.chunk != h.quirks().Chunk {
		h.learned.chunk.Store(s.mode.chunk)
		h.learned.chunked.set(h.now(), modeLife)
	}
	if s.mode.patchLast {
		h.learned.patchLast.set(h.now(), modeLife)
	}
}
