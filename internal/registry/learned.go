package registry

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// refusalLife is for how long a request is not made again that a registry can do
	// without and has refused.
	refusalLife = 10 * time.Minute
	// sourcesRefused is how many sources in a row have to be refused for a registry to
	// be taken for one that mounts nothing.
	sourcesRefused = 3
	// maxRemembered bounds the names remembered of one kind.
	maxRemembered = 4096
	// justWrittenLife is for how long something that was sent to a repository may not be
	// visible there yet.
	justWrittenLife = time.Minute
)

// learned are findings about a registry that save requests later on.
type learned struct {
	// selfMounts is set once a mount from the repository itself was answered 201:
	// such a POST then tells whether a blob is there.
	selfMounts atomic.Bool
	// noSelfMounts holds after such a mount was refused.
	noSelfMounts expiringFlag
	mounts       mounts

	// noManyTags holds after several tags in one request were not all taken; tagLimit
	// is how many may be tried, or 0 for any number.
	noManyTags expiringFlag
	tagLimit   atomic.Int64

	// noHead holds after a HEAD was refused, or told too little, where a GET was
	// answered.
	noHead expiringFlag

	// redirectsTellNothing holds after something turned out not to be there: that a
	// lookup of a blob is sent on to another host does not say that there is one.
	redirectsTellNothing expiringFlag

	// patchLast holds after the bytes of a blob were refused in a PUT and taken in a PATCH;
	// chunked holds after a request was too large, and chunk is the size that was not.
	patchLast expiringFlag
	chunked   expiringFlag
	chunk     atomic.Int64

	// justWritten are the repositories that were written to a moment ago.
	justWritten *expiringSet
}

func (l *learned) init() {
	l.mounts.refused = newExpiringSet(maxRemembered, refusalLife)
	l.justWritten = newExpiringSet(maxRemembered, justWrittenLife)
}

// mounts is what a registry has said to mounts from other repositories.
type mounts struct {
	refused *expiringSet // by source
	off     expiringFlag // from all sources

	mu  sync.Mutex
	row int // sources refused since the last mount
}

func (m *mounts) refuse(source string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused.has(source, now) {
		return // an answer to a request that was under way already
	}
	m.refused.note(source, now)
	if m.row++; m.row >= sourcesRefused {
		m.off.set(now, refusalLife)
		m.row = 0
	}
}

func (m *mounts) grant() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.row = 0
}

func (m *mounts) may(source string, now time.Time) bool {
	return !m.off.holds(now) && !m.refused.has(source, now)
}

// distrustMounts is for a registry that says that it has mounted what it then does not
// find.
func (l *learned) distrustMounts(now time.Time) {
	l.mounts.off.set(now, refusalLife)
	l.noSelfMounts.set(now, refusalLife)
}
