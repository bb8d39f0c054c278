package store

import (
	"sync"
	"time"
)

// tagHolds are the leases of tags that this daemon's runs have.
type tagHolds struct {
	mu   sync.Mutex
	runs map[runID]*Lease
}

// Lease is the right to write what was claimed, for as long as it is renewed. The store
// renews it while the run lasts, within limits.
type Lease struct {
	ended chan struct{}

	mu sync.Mutex // of what follows
	// since is when it was granted, renewed when it began last.
	since, renewed time.Time
	end            *time.Timer
}

// Ended is closed when the lease has ended: nothing may be written any more.
func (l *Lease) Ended() <-chan struct{} { return l.ended }

// hold begins a lease of a run, whose claim was asked for at the time given. It replaces
// the one that the run had.
func (h *tagHolds) hold(id runID, asked time.Time, length time.Duration) *Lease {
	lease := &Lease{ended: make(chan struct{}), since: asked, renewed: asked}
	lease.end = time.AfterFunc(length-time.Since(asked), func() { close(lease.ended) })
	h.letGo(id)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs == nil {
		h.runs = map[runID]*Lease{}
	}
	h.runs[id] = lease
	return lease
}

// letGo is the end of a run: its lease is not renewed any more.
func (h *tagHolds) letGo(id runID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if lease := h.runs[id]; lease != nil {
		delete(h.runs, id)
		lease.mu.Lock()
		defer lease.mu.Unlock()
		lease.end.Stop()
	}
}

// due returns the runs whose leases began at least so long ago, and were granted less
// than the limit ago.
func (h *tagHolds) due(age, limit time.Duration) (runs []runID) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, lease := range h.runs {
		lease.mu.Lock()
		if now.Sub(lease.renewed) >= age && now.Sub(lease.since) < limit {
			runs = append(runs, id)
		}
		lease.mu.Unlock()
	}
	return runs
}

// renew has the lease of a run begin anew, unless it has ended here by now.
func (h *tagHolds) renew(id runID, began time.Time, length time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lease := h.runs[id]
	if lease == nil {
		return
	}
	lease.mu.Lock()
	defer lease.mu.Unlock()
	if lease.end.Stop() {
		lease.renewed = began
		lease.end.Reset(length - time.Since(began))
	}
}
