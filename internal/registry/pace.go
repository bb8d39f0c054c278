package registry

import "github.com/drayage/drayage/internal/registry/pacer"

const (
	// defaultSmall keeps a local registry busy; one that is asked too much says so
	// with 429, and is asked less.
	defaultSmall = 16
	// defaultLarge saturates most links.
	defaultLarge = 6
)

// Pace bounds the requests to one registry. Within these bounds the client finds out by
// itself what a registry bears (see [pacer.Pacer]).
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

func newPacer(opts Options, rate float64) *pacer.Pacer {
	return pacer.New(pacer.Options{
		Small: opts.Pace.Small, Large: opts.Pace.Large, Rate: rate, MaxWait: opts.maxWait, Now: opts.Now, Wait: opts.Wait,
	})
}
