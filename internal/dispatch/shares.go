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
	// maxShares bounds the registries that are remembered while they are idle.
	maxShares = 1000
)

// errMakeRoom ends a haul to a registry that is silent, so that others can use its
// worker. The job comes back.
var errMakeRoom = errors.New("the registry is silent, and other registries need its worker")

// shares keep a registry that is down, or does not answer, from taking all workers:
// hauls to it may last for minutes, and pushes to other registries would wait for
// them. A registry with which things go on has as many workers as there is work.
type shares struct {
	limit int
	// lastProgress is when a registry last took bytes or answered.
	lastProgress func(host string) time.Time

	mu    sync.Mutex
	hosts map[string]*share
}

type share struct {
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

// stay is a haul's time in a share: the one of the registry that it goes to, or of
// another while it waits for that.
type stay struct {
	shares   *shares
	end      context.CancelCauseFunc
	home, at *share
	visits   int // under way
}

// newShares leaves a quarter of the workers to others than a registry that is stuck.
func newShares(workers int, lastProgress func(host string) time.Time) *shares {
	return &shares{limit: max(1, workers-max(1, workers/4)), lastProgress: lastProgress, hosts: map[string]*share{}}
}

// enter takes a worker for a registry, if it may have one more. The haul's context
// ends with errMakeRoom as its cause where others need the worker more. [stay.leave] has
// to be called when the haul is over.
func (a *shares) enter(ctx context.Context, host string) (hauling context.Context, s *stay, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.share(host)
	if a.full(at) {
		return nil, nil, false
	}
	hauling, end := context.WithCancelCause(ctx)
	s = &stay{shares: a, end: end, home: at}
	a.join(s, host, at)
	return hauling, s, true
}

// leave ends a haul's stay. It is told whether the registry is at work.
func (s *stay) leave(works bool) {
	s.end(nil)
	a := s.shares
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.at != s.home {
		s.home.away--
	}
	a.part(s)
	if works {
		s.home.since = time.Now()
	}
}

// visit notes that the haul waits for another registry than its own, a base's: until it
// is over it takes no worker from its own. It ends the haul if that other has workers
// enough.
func (s *stay) visit(home, host string) (over func(works bool)) {
	a := s.shares
	a.mu.Lock()
	defer a.mu.Unlock()
	s.visits++
	visited := a.share(host)
	if s.visits == 1 && visited != s.home {
		full := a.full(visited)
		a.part(s)
		s.home.away++
		a.join(s, host, visited)
		if full {
			s.end(errMakeRoom)
		}
	}
	return func(works bool) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if works {
			visited.since = time.Now()
		}
		if s.visits--; s.visits == 0 && s.at != s.home {
			a.part(s)
			s.home.away--
			a.join(s, home, s.home)
		}
	}
}

func (a *shares) share(host string) *share {
	at := a.hosts[host]
	if at == nil {
		a.forget()
		at = &share{}
		a.hosts[host] = at
	}
	return at
}

// full tells whether a registry has all the workers that it may have.
func (a *shares) full(at *share) bool {
	return len(at.under) >= a.limit && time.Since(at.since) > stuckAfter
}

func (a *shares) join(s *stay, host string, at *share) {
	if len(at.under) == 0 {
		at.since = time.Now()
	}
	s.at = at
	at.under = append(at.under, s)
	if len(at.under) == a.limit+1 {
		at.watch = time.AfterFunc(stuckAfter, func() { a.makeRoom(host, at) })
	}
}

func (a *shares) part(s *stay) {
	at := s.at
	at.under = slices.DeleteFunc(at.under, func(other *stay) bool { return other == s })
	if len(at.under) == a.limit {
		at.watch.Stop()
	}
}

// forget drops registries that are idle, if there are too many.
func (a *shares) forget() {
	if len(a.hosts) < maxShares {
		return
	}
	for host, idle := range a.hosts {
		if len(idle.under) == 0 && idle.away == 0 {
			delete(a.hosts, host)
		}
	}
}

// makeRoom ends the hauls that a registry has beyond its share if it is silent, and
// else looks again later. Who is slow and not silent keeps what has been sent.
func (a *shares) makeRoom(host string, at *share) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(at.under) <= a.limit {
		return
	}
	last := at.since
	if progress := a.lastProgress(host); progress.After(last) {
		last = progress
	}
	if silent := time.Since(last); silent < stuckAfter {
		at.watch.Reset(stuckAfter - silent)
		return
	}
	for _, s := range at.under[a.limit:] {
		s.end(errMakeRoom)
	}
}

// pause is how long a job waits that found no worker for its registry.
func pause() time.Duration { return stuckPause + rand.N(stuckPause/2) }
