package bes

import (
	"sync"
	"time"
)

// buildOrder is the order in which one best-effort backend gets what belongs to one
// build. Lifecycle events go one after the other. A stream goes after the lifecycle
// events that came before it, and a lifecycle event after the streams that it follows.
// Streams of different invocations go side by side.
type buildOrder struct {
	mu sync.Mutex
	// lifecycle is closed when the last lifecycle event is dealt with. Nil before
	// the first.
	lifecycle <-chan struct{}
	// streams are those that are not done.
	streams []orderedStream
	// seen are the lifecycle events that came. What Bazel sends again is not forwarded
	// again.
	seen     map[lifecycleKey]struct{}
	lastUsed time.Time
}

type orderedStream struct {
	invocation string
	done       <-chan struct{}
}

// buildKey is the backend's name and the build's id.
type buildKey struct{ backend, build string }

// lifecycleKey tells lifecycle events of one build apart. Each component of a build
// numbers its own.
type lifecycleKey struct {
	invocation string
	component  int32
	sequence   int64
}

func (s *Service) order(b *backend, build string) *buildOrder {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := buildKey{b.Name, build}
	o := s.orders[k]
	if o == nil {
		o = &buildOrder{seen: make(map[lifecycleKey]struct{})}
		s.orders[k] = o
	}
	o.mu.Lock()
	o.lastUsed = time.Now()
	o.mu.Unlock()
	return o
}

// join puts a stream into its build's order. It may begin once after is closed, or at
// once where that is nil.
func (s *Service) join(b *backend, k key, done <-chan struct{}) (after <-chan struct{}) {
	o := s.order(b, k.build)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.prune()
	o.streams = append(o.streams, orderedStream{k.invocation, done})
	return o.lifecycle
}

// follow puts a lifecycle event into the order, and returns what it must wait for. It is
// not ok if the event came before.
func (o *buildOrder) follow(k lifecycleKey, done <-chan struct{}) (before []<-chan struct{}, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, again := o.seen[k]; again || len(o.seen) >= maxLifecycle {
		return nil, false
	}
	o.seen[k] = struct{}{}
	o.prune()
	if o.lifecycle != nil {
		before = append(before, o.lifecycle)
	}
	for _, stream := range o.streams {
		if k.invocation == "" || k.invocation == stream.invocation {
			before = append(before, stream.done)
		}
	}
	o.lifecycle = done
	return before, true
}

// maxLifecycle bounds the lifecycle events of one build. Bazel sends four for each
// invocation.
const maxLifecycle = 4096

// prune forgets streams that are done. Called with mu held.
func (o *buildOrder) prune() {
	kept := o.streams[:0]
	for _, stream := range o.streams {
		if !isDone(stream.done) {
			kept = append(kept, stream)
		}
	}
	clear(o.streams[len(kept):])
	o.streams = kept
}

// pending returns what is not done yet.
func (o *buildOrder) pending() []<-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.prune()
	var all []<-chan struct{}
	for _, stream := range o.streams {
		all = append(all, stream.done)
	}
	if o.lifecycle != nil && !isDone(o.lifecycle) {
		all = append(all, o.lifecycle)
	}
	return all
}

// idle says whether nothing happened in the build since before.
func (o *buildOrder) idle(before time.Time) bool {
	return len(o.pending()) == 0 && o.lastUsed.Before(before)
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
