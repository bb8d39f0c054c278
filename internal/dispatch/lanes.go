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
	// away counts those that wait for another registry.
	away int
	// since is when a haul last ended well or for good, or when the first of those
	// under way began.
	since time.Time
	// watch looks whether the registry is silent while it has more than its share.
	watch *time.Timer
}

// stay is a haul's time in a lane: the one of the registry that it goes to, or of
// another while it waits for that.
type stay struct {
	lanes    *lanes
	end      context.CancelCauseFunc
	home, at *lane
	visits   int // under way
}

// newLanes leaves a quarter of the workers to others than a registry that is stuck.
func newLanes(workers int, moved func(host string) time.Time) *lanes {
	return &lanes{limit: max(1, workers-max(1, workers/4)), moved: moved, hosts: map[string]*lane{}}
}

// enter takes a worker for a registry, if it may have one more. The haul's context
// ends with errMakeRoom as its cause where others need the worker more. [stay.left] has
// to be called when the haul is over.
func (l *lanes) enter(ctx context.Context, host string) (hauling context.Context, s *stay, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.lane(host)
	if l.full(at) {
		return nil, nil, false
	}
	hauling, end := context.WithCancelCause(ctx)
	s = &stay{lanes: l, end: end, home: at}
	l.join(s, host, at)
	return hauling, s, true
}

// left ends a haul's stay. It is told whether the haul moved things on.
func (s *stay) left(moved bool) {
	s.end(nil)
	l := s.lanes
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.at != s.home {
		s.home.away--
	}
	l.part(s)
	if moved {
		s.home.since = time.Now()
	}
}

// visit notes that the haul waits for another registry than its own, a base's: until it
// is over it takes no worker from its own. It ends the haul if that other has workers
// enough.
func (s *stay) visit(home, host string) (over func(moved bool)) {
	l := s.lanes
	l.mu.Lock()
	defer l.mu.Unlock()
	s.visits++
	visited := l.lane(host)
	if s.visits == 1 && visited != s.home {
		full := l.full(visited)
		l.part(s)
		s.home.away++
		l.join(s, host, visited)
		if full {
			s.end(errMakeRoom)
		}
	}
	return func(moved bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if moved {
			visited.since = time.Now()
		}
		if s.visits--; s.visits == 0 && s.at != s.home {
			l.part(s)
			s.home.away--
			l.join(s, home, s.home)
		}
	}
}

func (l *lanes) lane(host string) *lane {
	at := l.hosts[host]
	if at == nil {
		l.forget()
		at = &lane{}
		l.hosts[host] = at
	}
	return at
}

// full tells whether a registry has all the workers that it may have.
func (l *lanes) full(at *lane) bool {
	return len(at.under) >= l.limit && time.Since(at.since) > stuckAfter
}

func (l *lanes) join(s *stay, host string, at *lane) {
	if len(at.under) == 0 {
		at.since = time.Now()
	}
	s.at = at
	at.under = append(at.under, s)
	if len(at.under) == l.limit+1 {
		at.watch = time.AfterFunc(stuckAfter, func() { l.makeRoom(host, at) })
	}
}

func (l *lanes) part(s *stay) {
	at := s.at
	at.under = slices.DeleteFunc(at.under, func(other *stay) bool { return other == s })
	if len(at.under) == l.limit {
		at.watch.Stop()
	}
}

// forget drops registries that are idle, if there are too many.
func (l *lanes) forget() {
	if len(l.hosts) < maxLanes {
		return
	}
	for host, idle := range l.hosts {
		if len(idle.under) == 0 && idle.away == 0 {
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
