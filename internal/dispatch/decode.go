package dispatch

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/store"
)

// Decodes keep in mind which specs a daemon died of.
type Decodes interface {
	// DecodeDeaths returns how many decodes of the job's spec ended with the death of
	// their daemon.
	DecodeDeaths(ctx context.Context, attempt store.Attempt) (int, error)
	BeginDecode(ctx context.Context, attempt store.Attempt) error
	EndDecode(ctx context.Context, attempt store.Attempt) error
}

const (
	// markedSpec is the smallest spec whose decode is marked, in bytes. What a smaller one
	// can take kills no daemon.
	markedSpec = 256 << 10

	// maxDeaths is how many daemons may die in decodes of one spec.
	maxDeaths = 3
)

// crashedError is of a spec that daemons died of.
type crashedError struct{ deaths int }

func (e *crashedError) Error() string {
	return fmt.Sprintf("the daemon died %d times while it decoded the push spec, so it does not decode it any more: "+
		"look at the daemon's log and at its memory limit; `drayage jobs requeue` tries again", e.deaths)
}

// beginDecode waits until there is memory for the decode of a spec of size bytes, and marks
// that it has begun. Whoever calls it calls end, however the decode ends.
func (r *run) beginDecode(ctx context.Context, size int64) (end func() error, err error) {
	marks := r.worker.opts.Decodes
	if marks == nil || size < markedSpec {
		release, err := r.worker.specs.beginDecode(ctx, size, false)
		return func() error { release(); return nil }, err
	}
	deaths, err := marks.DecodeDeaths(ctx, r.attempt)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what failed
	}
	if deaths >= maxDeaths {
		return nil, &crashedError{deaths: deaths}
	}
	// A suspect is decoded alone: if the daemon dies again, no other is under suspicion.
	release, err := r.worker.specs.beginDecode(ctx, size, deaths > 0)
	if err != nil {
		return nil, err
	}
	if err := marks.BeginDecode(ctx, r.attempt); err != nil {
		release()
		return nil, err //nolint:wrapcheck // it says what failed
	}
	return func() error {
		release()
		return marks.EndDecode(ctx, r.attempt) //nolint:wrapcheck // it says what failed
	}, nil
}
