package haul

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// maxWidth bounds the uploads of one blob to one registry that are under way at
	// once, of pushes that gain from one another's.
	maxWidth = 64

	// startLimit is how long an upload may keep others waiting before any of its bytes
	// move: its repository, or where its bytes come from, may be none of theirs.
	startLimit = 10 * time.Second

	// maxGone bounds the origins that are remembered to lack a blob.
	maxGone = 16
)

// contest is between the hauls that need one blob in one registry.
type contest struct {
	// users counts the turns that were not left yet.
	users int
	// width is how many uploads may be under way at once, of those that a push gains from.
	width int
	under []*turn
	// changed is closed when there is something new to those who wait.
	changed chan struct{}
	// gone are the origins that turned out not to have the blob.
	gone []origin
}

// turn is one haul's part in a contest.
type turn struct {
	uploads *uploads
	contest *contest
	key     digestAt
	sender  sender

	since time.Time
	// flows says that bytes move, or that it was found to take too long until they do.
	flows bool
	// gone says that the blob's origin was found not to have it, a moment ago.
	gone bool
}

func (t *turn) leave() {
	t.uploads.mu.Lock()
	defer t.uploads.mu.Unlock()
	if t.contest.users--; t.contest.users == 0 {
		delete(t.uploads.blobs, t.key)
	}
}

// tryBegin tells whether the caller may upload now. If so it has to call [turn.end].
func (t *turn) tryBegin() bool {
	t.uploads.mu.Lock()
	defer t.uploads.mu.Unlock()
	c := t.contest
	if t.blocked() {
		return false
	}
	t.since, t.flows = time.Now(), false
	t.gone = slices.ContainsFunc(c.gone, t.sender.origin.equal)
	c.under = append(c.under, t)
	return true
}

// blocked tells whether as many upload as may at once. Those whose uploads this one gains
// nothing from do not count.
func (t *turn) blocked() bool {
	n := 0
	for _, other := range t.contest.under {
		if t.sender.gains(other.sender) {
			n++
		}
	}
	return n >= t.contest.width
}

// wait returns when another upload has ended, or takes too long to begin. The error is
// the caller's own end.
func (t *turn) wait(ctx context.Context) error {
	c := t.contest
	t.uploads.mu.Lock()
	changed, patience := c.changed, c.patience()
	blocked := t.blocked()
	t.uploads.mu.Unlock()
	if !blocked {
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
	t.uploads.mu.Lock()
	defer t.uploads.mu.Unlock()
	if c.overdue() {
		c.widen()
	}
	return nil
}

// flowing says that bytes move from now on.
func (t *turn) flowing() {
	t.uploads.mu.Lock()
	defer t.uploads.mu.Unlock()
	t.flows = true
}

// end says how the upload went.
func (t *turn) end(err error) {
	t.uploads.mu.Lock()
	defer t.uploads.mu.Unlock()
	c := t.contest
	c.under = slices.DeleteFunc(c.under, func(other *turn) bool { return other == t })
	if err == nil {
		c.tell()
		return
	}
	if failed, ok := errors.AsType[*Error](err); ok && failed.Class == Evicted && !t.gone && len(c.gone) < maxGone {
		c.gone = append(c.gone, t.sender.origin)
	}
	c.widen()
}

// patience is how long to wait at most before another look.
func (c *contest) patience() time.Duration {
	least := time.Hour
	for _, t := range c.under {
		if !t.flows {
			least = min(least, time.Until(t.since.Add(startLimit)))
		}
	}
	return max(least, 0)
}

// overdue tells whether an upload takes too long to begin, once of each.
func (c *contest) overdue() bool {
	found := false
	for _, t := range c.under {
		if !t.flows && time.Since(t.since) >= startLimit {
			t.flows, found = true, true
		}
	}
	return found
}

// widen lets twice as many upload at once.
func (c *contest) widen() {
	c.width = min(2*c.width, maxWidth)
	c.tell()
}

func (c *contest) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}
