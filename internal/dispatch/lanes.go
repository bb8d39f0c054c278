package dispatch

import (
	"math/rand/v2"
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

// lanes keep a registry that is down, or does not answer, from taking all workers:
// hauls to it may last for minutes, and pushes to other registries would wait for
// them. A registry with which things go on has as many workers as there is work.
type lanes struct {
	now   func() time.Time
	limit int

	mu    sync.Mutex
	hosts map[string]*lane
}

type lane struct {
	active int
	// since is when a haul last ended well or for good, or when the first of those
	// under way began.
	since time.Time
}

// newLanes leaves a quarter of the workers to others than a registry that is stuck.
func newLanes(workers int, now func() time.Time) *lanes {
	return &lanes{now: now, limit: max(1, workers-max(1, workers/4)), hosts: map[string]*lane{}}
}

// enter takes a worker for a registry, if it may have one more. left has to be
// called when the haul is over, and be told whether that moved things on.
func (l *lanes) enter(host string) (left func(moved bool), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.hosts[host]
	if at == nil {
		if len(l.hosts) >= maxLanes {
			for name, idle := range l.hosts {
				if idle.active == 0 {
					delete(l.hosts, name)
				}
			}
		}
		at = &lane{}
		l.hosts[host] = at
	}
	if at.active == 0 {
		at.since = l.now()
	}
	if at.active >= l.limit && l.now().Sub(at.since) > stuckAfter {
		return nil, false
	}
	at.active++
	return func(moved bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		at.active--
		if moved {
			at.since = l.now()
		}
	}, true
}

// pause is how long a job waits that found no worker for its registry.
func (l *lanes) pause() time.Duration { return stuckPause + rand.N(stuckPause/2) }
