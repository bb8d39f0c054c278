package registry

import (
	"sync"
	"sync/atomic"
	"time"
)

// expiringFlag is a finding about a registry that holds for a while: what was refused
// once may be granted later on, when somebody has changed a setting.
type expiringFlag struct{ until atomic.Int64 }

func (l *expiringFlag) set(now time.Time, life time.Duration) {
	l.until.Store(now.Add(life).UnixNano())
}

func (l *expiringFlag) clear() { l.until.Store(0) }

func (l *expiringFlag) holds(now time.Time) bool { return now.UnixNano() < l.until.Load() }

// expiringSet remembers when something was last true of names, of at most so many.
type expiringSet struct {
	life  time.Duration
	limit int

	mu sync.Mutex
	at map[string]time.Time
}

func newExpiringSet(limit int, life time.Duration) *expiringSet {
	return &expiringSet{life: life, limit: limit, at: map[string]time.Time{}}
}

// note remembers a name. Where there is no room the old ones go, or else all: what is
// lost costs a request or a pause.
func (r *expiringSet) note(name string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.at[name]; !known && len(r.at) >= r.limit {
		for name, at := range r.at {
			if now.Sub(at) >= r.life {
				delete(r.at, name)
			}
		}
		if len(r.at) >= r.limit {
			clear(r.at)
		}
	}
	r.at[name] = now
}

func (r *expiringSet) has(name string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, found := r.at[name]
	return found && now.Sub(at) < r.life
}
