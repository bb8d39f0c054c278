package haul

import (
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// presenceLimit bounds what is remembered, in entries of about 200 bytes.
	presenceLimit = 50_000
	// presenceLife is how long it is believed. Registries seldom collect garbage
	// sooner; where one did, a refused manifest says so.
	presenceLife = 30 * time.Minute
)

// presence remembers which digests are in which repositories. It forgets the older
// half when it is full.
type presence struct {
	now   func() time.Time
	limit int
	life  time.Duration

	mu         sync.Mutex
	young, old map[digestAt]sighting
}

type sighting struct {
	time time.Time
	// repository is one that has the digest.
	repository string
}

func newPresence(now func() time.Time, limit int, life time.Duration) *presence {
	return &presence{now: now, limit: limit, life: life, young: map[digestAt]sighting{}}
}

// add remembers that a repository has a digest.
func (p *presence) add(at address, digest v1.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := sighting{time: p.now(), repository: at.repository}
	p.put(digestAt{at, digest}, seen)
	p.put(at.anywhere(digest), seen)
}

func (p *presence) put(key digestAt, seen sighting) {
	if len(p.young) >= p.limit/2 {
		p.old, p.young = p.young, make(map[digestAt]sighting, p.limit/2)
	}
	p.young[key] = seen
}

func (p *presence) get(key digestAt) (sighting, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, found := p.young[key]
	if !found {
		seen, found = p.old[key]
	}
	if !found || p.now().Sub(seen.time) > p.life {
		return sighting{}, false
	}
	return seen, true
}

// has tells whether a repository is known to have a digest.
func (p *presence) has(at address, digest v1.Hash) bool {
	_, found := p.get(digestAt{at, digest})
	return found
}

// repositoryOf is a repository of the registry that is known to have a digest, or "".
func (p *presence) repositoryOf(at address, digest v1.Hash) string {
	seen, _ := p.get(at.anywhere(digest))
	return seen.repository
}

// forget is for what turned out not to be there.
func (p *presence) forget(at address, digest v1.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range []map[digestAt]sighting{p.young, p.old} {
		delete(m, digestAt{at, digest})
		if m[at.anywhere(digest)].repository == at.repository {
			delete(m, at.anywhere(digest))
		}
	}
}
