package store

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// blobHolds are the blobs that this daemon has claimed, and for which of its runs.
type blobHolds struct {
	mu    sync.Mutex
	blobs map[heldBlob]*blobHold
}

type heldBlob struct{ registry, digest string }

func (b heldBlob) compare(other heldBlob) int {
	return cmp.Or(cmp.Compare(b.registry, other.registry), cmp.Compare(b.digest, other.digest))
}

// blobHold is one blob while at least one run is at it.
type blobHold struct {
	// since is when the first of the runs claimed it: what the next one asks for does
	// not make it this daemon's for longer.
	since time.Time
	// renewed is when its lease began last.
	renewed time.Time
	runs    map[runID]BlobClaim
}

// hold notes that a run is at the blobs.
func (h *blobHolds) hold(attempt Attempt, claim BlobClaim) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.blobs == nil {
		h.blobs = map[heldBlob]*blobHold{}
	}
	for _, digest := range claim.Digests {
		blob := heldBlob{claim.Registry, digest}
		if h.blobs[blob] == nil {
			h.blobs[blob] = &blobHold{since: now, renewed: now, runs: map[runID]BlobClaim{}}
		}
		h.blobs[blob].runs[attempt.id] = claim
	}
}

// letGo returns the digests that no run is at any more.
func (h *blobHolds) letGo(attempt Attempt, claim BlobClaim) (free []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, digest := range claim.Digests {
		blob := heldBlob{claim.Registry, digest}
		held := h.blobs[blob]
		if held == nil {
			free = append(free, digest)
			continue
		}
		delete(held.runs, attempt.id)
		if len(held.runs) == 0 {
			delete(h.blobs, blob)
			free = append(free, digest)
		}
	}
	return free
}

// free returns those of the digests that no run is at.
func (h *blobHolds) free(registry string, digests []string) (free []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, digest := range digests {
		if h.blobs[heldBlob{registry, digest}] == nil {
			free = append(free, digest)
		}
	}
	return free
}

// due returns, in order, the blobs whose leases began at least so long ago and are to
// go on: a run is at them that has not taken too long and gets on.
func (h *blobHolds) due(age time.Duration) (blobs []heldBlob) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for blob, held := range h.blobs {
		if now.Sub(held.renewed) >= age && held.goesOn(now) {
			blobs = append(blobs, blob)
		}
	}
	slices.SortFunc(blobs, heldBlob.compare)
	return blobs
}

func (h *blobHold) goesOn(now time.Time) bool {
	for _, claim := range h.runs {
		if now.Sub(h.since) < claim.Limit && (claim.GetsOn == nil || claim.GetsOn()) {
			return true
		}
	}
	return false
}

// renew notes that the leases of the blobs have begun anew.
func (h *blobHolds) renew(blobs []heldBlob, began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, blob := range blobs {
		if held := h.blobs[blob]; held != nil {
			held.renewed = began
		}
	}
}
