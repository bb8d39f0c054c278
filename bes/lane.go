package bes

import (
	"sync"
	"time"
)

// lane puts what one best-effort backend gets of one build in order: lifecycle
// events one after the other, a stream after the lifecycle events that came before
// it, and lifecycle events after the streams that they follow. A build's
// invocations can run side by side.
type lane struct {
	mu sync.Mutex
	// lifecycle is closed when the last lifecycle event is dealt with. Nil before
	// the first.
	lifecycle <-chan struct{}
	// streams are those that are not done.
	streams []laneStream
	// seen are the lifecycle events that came, so that one that Bazel sends again
	// is not forwarded again.
	seen     map[lifecycleKey]struct{}
	lastUsed time.Time
}

type laneStream struct {
	invocation string
	done       <-chan struct{}
}

// laneKey is the backend's name and the build's id.
type laneKey struct{ backend, build string }

// lifecycleKey tells lifecycle events of one build apart. Each component of a build
// numbers its own.
type lifecycleKey struct {
	invocation string
	component  int32
	sequence   int64
}

func (s *Service) lane(b *backend, build string) *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := laneKey{b.Name, build}
	l := s.lanes[k]
	if l == nil {
		l = &lane{seen: make(map[lifecycleKey]struct{})}
		s.lanes[k] = l
	}
	l.mu.Lock()
	l.lastUsed = time.Now()
	l.mu.Unlock()
	return l
}

// join puts a stream into its build's lane. after is closed when it may begin, and
// nil when it may at once.
func (s *Service) join(b *backend, k key, done <-chan struct{}) (after <-chan struct{}) {
	l := s.lane(b, k.build)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune()
	l.streams = append(l.streams, laneStream{k.invocation, done})
	return l.lifecycle
}

// follow puts a lifecycle event into the lane. It returns what comes before it, and
// is not ok for an event that came before.
func (l *lane) follow(k lifecycleKey, done <-chan struct{}) (before []<-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, again := l.seen[k]; again || len(l.seen) >= maxLifecycle {
		return nil, false
	}
	l.seen[k] = struct{}{}
	l.prune()
	if l.lifecycle != nil {
		before = append(before, l.lifecycle)
	}
	for _, stream := range l.streams {
		if k.invocation == "" || k.invocation == stream.invocation {
			before = append(before, stream.done)
		}
	}
	l.lifecycle = done
	return before, true
}

// maxLifecycle bounds the lifecycle events of one build. Bazel sends four for each
// invocation.
const maxLifecycle = 4096

// prune forgets streams that are done. Called with mu held.
func (l *lane) prune() {
	kept := l.streams[:0]
	for _, stream := range l.streams {
		if !isDone(stream.done) {
			kept = append(kept, stream)
		}
	}
	clear(l.streams[len(kept):])
	l.streams = kept
}

// pending returns what is not done yet.
func (l *lane) pending() []<-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune()
	var all []<-chan struct{}
	for _, stream := range l.streams {
		all = append(all, stream.done)
	}
	if l.lifecycle != nil && !isDone(l.lifecycle) {
		all = append(all, l.lifecycle)
	}
	return all
}

// idle says whether nothing happened in the lane since before.
func (l *lane) idle(before time.Time) bool {
	return len(l.pending()) == 0 && l.lastUsed.Before(before)
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
