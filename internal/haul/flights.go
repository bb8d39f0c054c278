package haul

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/drayage/drayage/pushspec"
)

const (
	// maxWidth bounds the uploads of one blob to one registry that are under way at
	// once.
	maxWidth = 64

	// takeoff is how long an upload may keep others waiting before any of its bytes
	// move: its repository, or where its bytes come from, may be none of theirs.
	takeoff = 10 * time.Second

	// maxGone bounds the origins that are remembered to lack a blob.
	maxGone = 16
)

// flights are the uploads under way, of all hauls. Who needs what another uploads
// waits for it. What becomes of an upload that fails is nobody else's: its repository
// may refuse what others take, its source may lack what others have. So those who waited
// try themselves, and not one after the other: with each failure twice as many may fly
// at once, so that nobody waits for more than four of fifteen that fail.
type flights struct {
	mu    sync.Mutex
	going map[place]*runway
}

// runway is where the uploads of one blob start.
type runway struct {
	// users counts the tickets.
	users int
	// width is how many uploads may be under way at once.
	width int
	under []*ticket
	// changed is closed when there is something new to those who wait.
	changed chan struct{}
	// gone are the origins that turned out not to have the blob.
	gone []origin
}

// origin is where a blob's bytes come from.
type origin struct {
	instance string
	sources  []pushspec.Source
}

func (o origin) equal(other origin) bool {
	return o.instance == other.instance && slices.Equal(o.sources, other.sources)
}

// ticket is one haul's interest in a blob at a place.
type ticket struct {
	flights *flights
	runway  *runway
	at      place
	from    origin

	since time.Time
	// off says that bytes move, or that it was found to take too long until they do.
	off bool
	// gone says that the blob's origin was found not to have it, a moment ago.
	gone bool
}

func newFlights() *flights { return &flights{going: map[place]*runway{}} }

// join is the first thing that who needs a blob does; [ticket.leave] is the last.
func (f *flights) join(p place, from origin) *ticket {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.going[p]
	if r == nil {
		r = &runway{width: 1, changed: make(chan struct{})}
		f.going[p] = r
	}
	r.users++
	return &ticket{flights: f, runway: r, at: p, from: from}
}

func (t *ticket) leave() {
	f := t.flights
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.runway.users--; t.runway.users == 0 {
		delete(f.going, t.at)
	}
}

// tryFly tells whether the caller may upload now. If so it has to call [ticket.land].
func (t *ticket) tryFly() bool {
	f, r := t.flights, t.runway
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(r.under) >= r.width {
		return false
	}
	t.since, t.off = time.Now(), false
	t.gone = slices.ContainsFunc(r.gone, t.from.equal)
	r.under = append(r.under, t)
	return true
}

// wait returns when another upload has ended, or takes too long to begin. The error is
// the caller's own end.
func (t *ticket) wait(ctx context.Context) error {
	f, r := t.flights, t.runway
	f.mu.Lock()
	changed, patience := r.changed, r.patience()
	full := len(r.under) >= r.width
	f.mu.Unlock()
	if !full {
		return nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.overdue() {
		r.widen()
	}
	return nil
}

// patience is how long to wait at most before another look.
func (r *runway) patience() time.Duration {
	least := time.Hour
	for _, t := range r.under {
		if !t.off {
			least = min(least, time.Until(t.since.Add(takeoff)))
		}
	}
	return max(least, 0)
}

// overdue tells whether an upload takes too long to begin, once of each.
func (r *runway) overdue() bool {
	found := false
	for _, t := range r.under {
		if !t.off && time.Since(t.since) >= takeoff {
			t.off, found = true, true
		}
	}
	return found
}

// widen lets twice as many fly at once.
func (r *runway) widen() {
	r.width = min(2*r.width, maxWidth)
	r.tell()
}

func (r *runway) tell() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// takesOff says that bytes move from now on.
func (t *ticket) takesOff() {
	t.flights.mu.Lock()
	defer t.flights.mu.Unlock()
	t.off = true
}

// land says how the upload went.
func (t *ticket) land(err error) {
	t.flights.mu.Lock()
	defer t.flights.mu.Unlock()
	r := t.runway
	r.under = slices.DeleteFunc(r.under, func(other *ticket) bool { return other == t })
	if err == nil {
		r.tell()
		return
	}
	if failed, ok := errors.AsType[*Error](err); ok && failed.Class == Evicted && !t.gone && len(r.gone) < maxGone {
		r.gone = append(r.gone, t.from)
	}
	r.widen()
}
