package registry

import (
	"context"
	"time"
)

// lane keeps requests of one kind from waiting behind those of another.
type lane int

const (
	// small is for requests that take a moment: lookups, manifests, small blobs.
	small lane = iota
	// large is for uploads of layers.
	large
)

// Pace bounds the requests to one registry.
type Pace struct {
	// Small bounds the small requests under way at once: lookups, manifests,
	// small blobs. Defaults to DefaultSmall.
	Small int
	// Large bounds the uploads of layers under way at once. Defaults to
	// DefaultLarge.
	Large int
}

const (
	// DefaultSmall keeps a local registry busy; a distant one slows it down with
	// 429 where it is too much.
	DefaultSmall = 16
	// DefaultLarge saturates most links.
	DefaultLarge = 6
)

func (p Pace) withDefaults() Pace {
	if p.Small <= 0 {
		p.Small = DefaultSmall
	}
	if p.Large <= 0 {
		p.Large = DefaultLarge
	}
	return p
}

type pacer struct {
	lanes [2]chan struct{}
}

func newPacer(opts Options) *pacer {
	return &pacer{lanes: [2]chan struct{}{make(chan struct{}, opts.Pace.Small), make(chan struct{}, opts.Pace.Large)}}
}

// acquire waits for a place in a lane. The release is told how the request went.
func (p *pacer) acquire(ctx context.Context, l lane, _ string) (release func(status int, after time.Duration), err error) {
	select {
	case p.lanes[l] <- struct{}{}:
		return func(int, time.Duration) { <-p.lanes[l] }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
