package registry

import "time"

// requestSize keeps small requests from waiting behind large ones.
type requestSize int

const (
	// small is for requests that take a moment: lookups, manifests, small blobs.
	small requestSize = iota
	// large is for uploads of layers.
	large
	requestSizes
)

const (
	// defaultSmall keeps a local registry busy; one that is asked too much says so
	// with 429, and is asked less.
	defaultSmall = 16
	// defaultLarge saturates most links.
	defaultLarge = 6

	// slowdown is what is left of concurrency and rate after a 429 or 503.
	slowdown = 0.7
	// slowdownEvery is the shortest time between two slowdowns: the requests under
	// way when the first came say nothing new.
	slowdownEvery = time.Second
	// minRate is the lowest rate, in requests a second, that is fallen back to.
	minRate = 0.5
	// recovery is by how much of itself the rate grows with each second.
	recovery = 0.05
)

// Pace bounds the requests to one registry. Within these bounds the client finds
// out by itself what a registry bears: fewer requests at once, and fewer a
// second, after each 429 or 503, and slowly more after answers that are not.
type Pace struct {
	// Small bounds the small requests under way at once: lookups, manifests,
	// small blobs. Defaults to 16.
	Small int
	// Large bounds the uploads of layers under way at once. Defaults to 6.
	Large int
}

func (p Pace) withDefaults() Pace {
	if p.Small <= 0 {
		p.Small = defaultSmall
	}
	if p.Large <= 0 {
		p.Large = defaultLarge
	}
	return p
}
