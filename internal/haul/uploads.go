package haul

import (
	"context"
	"slices"
	"sync"

	"github.com/drayage/drayage/pushspec"
)

// uploads keeps who uploads which blob to which registry. Hauls ask nobody else: of other
// processes it asks their [Claims], once for all blobs of a haul, and among the hauls of
// this process it gives turns, blob by blob.
//
// Who needs what another uploads waits for it, if they may have it then: others upload it
// themselves, at the same time. What becomes of an upload that fails is
// nobody else's: its repository may refuse what others take, its source may lack what
// others have. So those who waited try themselves, and not one after the other: with each
// failure twice as many may upload at once, so that nobody waits for more than four of
// fifteen that fail.
type uploads struct {
	mu    sync.Mutex
	blobs map[digestAt]*contest
}

func newUploads() *uploads { return &uploads{blobs: map[digestAt]*contest{}} }

// claim keeps other processes from uploading what a haul may have to upload. It waits
// until they have, or have taken too long.
func (u *uploads) claim(ctx context.Context, claims Claims, blobs []pushspec.Blob) (Claim, error) {
	// What the spec brings along is small.
	blobs = slices.DeleteFunc(slices.Clone(blobs), func(blob pushspec.Blob) bool { return len(blob.Data) > 0 })
	if len(blobs) == 0 {
		return Claim{}, nil
	}
	return claims.ClaimBlobs(ctx, blobs)
}

// join is the first thing that a haul does that needs a blob; [turn.leave] is the last.
func (u *uploads) join(key digestAt, sender sender) *turn {
	u.mu.Lock()
	defer u.mu.Unlock()
	c := u.blobs[key]
	if c == nil {
		c = &contest{width: 1, changed: make(chan struct{})}
		u.blobs[key] = c
	}
	c.users++
	return &turn{uploads: u, contest: c, key: key, sender: sender}
}

// sender is who uploads a blob.
type sender struct {
	origin     origin
	client     string
	repository string
	// mayMount, if set, tells whether it may have blobs mounted from a repository.
	mayMount func(repository string) bool
}

// gains tells whether what another uploads need not be uploaded once more: it will be in
// the same repository, in one to mount it from, or shown by the same client.
func (s sender) gains(other sender) bool {
	return s.mayMount == nil || s.repository == other.repository || s.client == other.client || s.mayMount(other.repository)
}

// origin is where a blob's bytes come from.
type origin struct {
	instance string
	sources  []pushspec.Source
}

func (o origin) equal(other origin) bool {
	return o.instance == other.instance && slices.Equal(o.sources, other.sources)
}
