package haul

import (
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// knownLimit bounds what is remembered, in entries of about 200 bytes.
	knownLimit = 50_000
	// knownLife is how long it is believed. Registries seldom collect garbage
	// sooner; where one did, a refused manifest says so.
	knownLife = 30 * time.Minute
)

// place is a digest in a repository of a registry. With no repository it stands
// for any.
type place struct {
	registry, repository string
	digest               v1.Hash
}

// known remembers which digests are in which repositories. It forgets the older
// half when it is full.
type known struct {
	now   func() time.Time
	limit int
	life  time.Duration

	mu         sync.Mutex
	young, old map[place]sighting
}

type sighting struct {
	at time.Time
	// repository is one that has the digest.
	repository string
}

func newKnown(now func() time.Time, limit int, life time.Duration) *known {
	return &known{now: now, limit: limit, life: life, young: map[place]sighting{}}
}

// add remembers that a repository has a digest.
func (k *known) add(registry, repository string, digest v1.Hash) {
	k.mu.Lock()
	defer k.mu.Unlock()
	seen := sighting{at: k.now(), repository: repository}
	k.put(place{registry, repository, digest}, seen)
	k.put(place{registry, "", digest}, seen)
}

func (k *known) put(p place, seen sighting) {
	if len(k.young) >= k.limit/2 {
		k.old, k.young = k.young, make(map[place]sighting, k.limit/2)
	}
	k.young[p] = seen
}

func (k *known) get(p place) (sighting, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	seen, found := k.young[p]
	if !found {
		seen, found = k.old[p]
	}
	if !found || k.now().Sub(seen.at) > k.life {
		return sighting{}, false
	}
	return seen, true
}

// has tells whether a repository is known to have a digest.
func (k *known) has(registry, repository string, digest v1.Hash) bool {
	_, found := k.get(place{registry, repository, digest})
	return found
}

// source is a repository of the registry that is known to have a digest, or "".
func (k *known) source(registry string, digest v1.Hash) string {
	seen, _ := k.get(place{registry, "", digest})
	return seen.repository
}

// forget is for what turned out not to be there.
func (k *known) forget(registry, repository string, digest v1.Hash) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range []map[place]sighting{k.young, k.old} {
		delete(m, place{registry, repository, digest})
		if m[place{registry, "", digest}].repository == repository {
			delete(m, place{registry, "", digest})
		}
	}
}
