package dispatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// stuckAfter is how long a registry may go without a haul that ends well, or
	// for good, before it has to leave workers to the others.
	stuckAfter = 30 * time.Second
	// stuckPause is when a job comes back for which there was no worker left, at the
	// soonest; it varies by a half.
	stuckPause = 10 * time.Second
	// maxLanes bounds the registries that are remembered while they are idle.
	maxLanes = 1000
)

// errMakeRoom ends a haul to a registry that is silent, so that others can use its
// worker. The job comes back.
var errMakeRoom = errors.New("the registry is silent, and leaves its worker to others")

// lanes keep a registry that is down, or does not answer, from taking all workers:
// hauls to it may last for minutes, and pushes to other registries would wait for
// them. A registry with which things go on has as many workers as there is work.
type lanes struct {
	limit int
	// moved tells when something last moved between us and a registry.
	moved func(host string) time.Time

	mu    sync.Mutex
	hosts map[string]*lane
}

type lane struct {
	// under are the hauls under way, in the order in which they came.
	under []*stay
	// since is when a haul last ended well or for good, or when the first of those
	// under way began.
	since time.Time
	// watch looks whether the registry is silent while it has more than its share.
	watch *time.Timer
}

// stay is a haul's time in a lane.
type stay struct{ end context.CancelCauseFunc }

// newLanes leaves a quarter of the workers to others than a registry that is stuck.
func newLanes(workers int, moved func(host string) time.Time) *lanes {
	return &lanes{limit: max(1, workers-max(1, workers/4)), moved: moved, hosts: map[string]*lane{}}
}

// enter takes a worker for a registry, if it may have one more. The haul's context
// ends with errMakeRoom as its cause where others need the worker more. left has to
// be called when the haul is over, and be told whether that moved things on.
func (l *lanes) enter(ctx context.Context, host string) (hauling context.Context, left func(moved bool), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.hosts[host]
	if at == nil {
		l.forget()
		at = &lane{}
		l.hosts[host] = at
	}
	if len(at.under) == 0 {
		at.since = time.Now()
	}
	if len(at.under) >= l.limit && time.Since(at.since) > stuckAfter {
		return nil, nil, false
	}
	hauling, end := context.WithCancelCause(ctx)
	s := &stay{end}
	at.under = append(at.under, s)
	if len(at.under) == l.limit+1 {
		at.watch = time.AfterFunc(stuckAfter, func() { l.makeRoom(host, at) })
	}
	return hauling, func(moved bool) {
		end(nil)
		l.mu.Lock()
		defer l.mu.Unlock()
		at.under = slices.DeleteFunc(at.under, func(other *stay) bool { return other == s })
		if len(at.under) == l.limit {
			at.watch.Stop()
		}
		if moved {
			at.since = time.Now()
		}
	}, true
}

// forget drops registries that are idle, if there are too many.
func (l *lanes) forget() {
	if len(l.hosts) < maxLanes {
		return
	}
	for host, idle := range l.hosts {
		if len(idle.under) == 0 {
			delete(l.hosts, host)
		}
	}
}

// makeRoom ends the hauls that a registry has beyond its share if it is silent, and
// else looks again later. Who is slow and not silent keeps what has been sent.
func (l *lanes) makeRoom(host string, at *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(at.under) <= l.limit {
		return
	}
	last := at.since
	if moved := l.moved(host); moved.After(last) {
		last = moved
	}
	if silent := time.Since(last); silent < stuckAfter {
		at.watch.Reset(stuckAfter - silent)
		return
	}
	for _, s := range at.under[l.limit:] {
		s.end(errMakeRoom)
	}
}

// pause is how long a job waits that found no worker for its registry.
func (l *lanes) pause() time.Duration { return stuckPause + rand.N(stuckPause/2) }
