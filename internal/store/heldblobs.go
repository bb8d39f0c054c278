package store

import "sync"

// heldBlobs are the blobs that this daemon has claimed, and for which of its runs.
type heldBlobs struct {
	mu   sync.Mutex
	runs map[heldBlob]map[runID]bool
}

type heldBlob struct{ registry, digest string }

// hold notes that a run is at the blobs.
func (h *heldBlobs) hold(attempt Attempt, claim BlobClaim) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil {
		h.runs = map[heldBlob]map[runID]bool{}
	}
	for _, digest := range claim.Digests {
		blob := heldBlob{claim.Registry, digest}
		if h.runs[blob] == nil {
			h.runs[blob] = map[runID]bool{}
		}
		h.runs[blob][attempt.id] = true
	}
}

// letGo returns the digests that no run is at any more.
func (h *heldBlobs) letGo(attempt Attempt, claim BlobClaim) (free []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, digest := range claim.Digests {
		blob := heldBlob{claim.Registry, digest}
		delete(h.runs[blob], attempt.id)
		if len(h.runs[blob]) == 0 {
			delete(h.runs, blob)
			free = append(free, digest)
		}
	}
	return free
}
