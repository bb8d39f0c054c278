package haul

import (
	"context"
	"sync"
)

// flights are the uploads under way, of all hauls.
type flights struct {
	mu    sync.Mutex
	going map[place]*flight
}

// flight is one upload, which others may wait for.
type flight struct {
	done chan struct{}
	// err is set before done is closed.
	err error
}

func newFlights() *flights { return &flights{going: map[place]*flight{}} }

// claim makes the caller the one who uploads to a place, or gives the flight of
// the one who does already.
func (f *flights) claim(p place) (other *flight, finish func(error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other := f.going[p]; other != nil {
		return other, nil
	}
	mine := &flight{done: make(chan struct{})}
	f.going[p] = mine
	return nil, func(err error) {
		f.mu.Lock()
		delete(f.going, p)
		f.mu.Unlock()
		mine.err = err
		close(mine.done)
	}
}

// wait waits for the flight's end. The error is the caller's own end; how the
// flight went is in its err.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// locks are mutexes by name that a context can leave.
type locks struct {
	flights *flights
}

func newLocks() *locks { return &locks{flights: newFlights()} }

func (l *locks) lock(ctx context.Context, p place) (unlock func(), err error) {
	for {
		other, finish := l.flights.claim(p)
		if other == nil {
			return func() { finish(nil) }, nil
		}
		if err := other.wait(ctx); err != nil {
			return nil, err
		}
	}
}
