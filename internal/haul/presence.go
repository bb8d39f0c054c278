package haul

import (
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// presenceLimit bounds what is remembered, in entries of about 200 bytes. That of a
	// blob which many clients share has up to maxSightings times as much.
	presenceLimit = 50_000
	// presenceLife is how long it is believed. Registries seldom collect garbage
	// sooner; where one did, a refused manifest says so.
	presenceLife = 30 * time.Minute
	// maxSightings bounds the repositories of a registry that are remembered to have one
	// digest.
	maxSightings = 8
)

// presence remembers which digests are in which repositories. It forgets the older
// half when it is full.
type presence struct {
	now   func() time.Time
	limit int
	life  time.Duration

	mu         sync.Mutex
	young, old map[digestAt][]sighting
}

// sighting is a push that has seen a digest in a repository.
type sighting struct {
	time       time.Time
	repository string
	// client is whose push it was. Of each client the last sighting in a registry is kept,
	// so that one with many repositories leaves room for the others.
	client string
}

func newPresence(now func() time.Time, limit int, life time.Duration) *presence {
	return &presence{now: now, limit: limit, life: life, young: map[digestAt][]sighting{}}
}

// add remembers that a client's push has seen a digest in a repository.
func (p *presence) add(at address, digest v1.Hash, client string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := sighting{time: p.now(), repository: at.repository, client: client}
	p.put(digestAt{at, digest}, []sighting{seen})
	anywhere := at.anywhere(digest)
	others := slices.DeleteFunc(slices.Clone(p.find(anywhere)), func(other sighting) bool {
		return other.repository == seen.repository || other.client == seen.client
	})
	p.put(anywhere, append([]sighting{seen}, others[:min(len(others), maxSightings-1)]...))
}

func (p *presence) put(key digestAt, seen []sighting) {
	if len(p.young) >= p.limit/2 {
		p.old, p.young = p.young, make(map[digestAt][]sighting, p.limit/2)
	}
	p.young[key] = seen
}

func (p *presence) find(key digestAt) []sighting {
	if seen, found := p.young[key]; found {
		return seen
	}
	return p.old[key]
}

// get are the sightings that are still believed, the latest first.
func (p *presence) get(key digestAt) []sighting {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.find(key)
	for i, s := range seen {
		if p.now().Sub(s.time) > p.life {
			return seen[:i]
		}
	}
	return seen
}

// has tells whether a repository is known to have a digest.
func (p *presence) has(at address, digest v1.Hash) bool {
	return len(p.get(digestAt{at, digest})) > 0
}

// repositoryOf is a repository of the registry that is known to have a digest and that
// will do, or "".
func (p *presence) repositoryOf(at address, digest v1.Hash, willDo func(repository string) bool) string {
	for _, seen := range p.get(at.anywhere(digest)) {
		if willDo(seen.repository) {
			return seen.repository
		}
	}
	return ""
}

// forget is for what turned out not to be there.
func (p *presence) forget(at address, digest v1.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	anywhere := at.anywhere(digest)
	for _, m := range []map[digestAt][]sighting{p.young, p.old} {
		delete(m, digestAt{at, digest})
		left := slices.DeleteFunc(slices.Clone(m[anywhere]), func(seen sighting) bool { return seen.repository == at.repository })
		if len(left) > 0 {
			m[anywhere] = left
		} else {
			delete(m, anywhere)
		}
	}
}
