package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/drayage/drayage/internal/store"
)

// Claims are exclusive rights, each a lease, that daemons which share a store give one
// another: to write tags, and to upload blobs. Both are asked for with a claim, on behalf
// of a run, and answered with a grant, or with a [*store.PostponeError] while somebody
// else has a lease of something of it.

// Tags keep an older build from writing over a newer one's tags. What was granted is
// released with the run's row.
type Tags interface {
	ClaimTags(ctx context.Context, attempt store.Attempt, claim store.TagClaim) (store.TagGrant, error)
}

// Blobs keep daemons from uploading the same blob each.
type Blobs interface {
	ClaimBlobs(ctx context.Context, attempt store.Attempt, claim store.BlobClaim) (store.BlobGrant, error)
	// ReleaseBlobs ends a claim. Repository is the one that has the blobs now, or "" if
	// none does. With an error the store tries again.
	ReleaseBlobs(ctx context.Context, attempt store.Attempt, claim store.BlobClaim, repository string) error
}

const (
	// claimSoonest and claimLatest bound the time between two looks at whether a claim can
	// be had.
	claimSoonest = 20 * time.Millisecond
	claimLatest  = 500 * time.Millisecond
)

// waitFor asks for a claim until it is granted: again after a while, and as soon as it
// hears that what was in the way has ended. With the patience at its end the error is the
// last [*store.PostponeError].
func waitFor[Grant any](ctx context.Context, patience time.Duration, ask func(context.Context) (Grant, error)) (Grant, error) {
	deadline := time.Now().Add(patience)
	for wait := claimSoonest; ; wait = min(2*wait, claimLatest) {
		grant, err := ask(ctx)
		busy, isBusy := errors.AsType[*store.PostponeError](err)
		if !isBusy || !time.Now().Add(wait).Before(deadline) {
			return grant, err
		}
		if err := waitFreed(ctx, wait, busy.Freed); err != nil {
			return grant, err
		}
	}
}

// waitFreed waits for as long as it is told, or until something is freed.
func waitFreed(ctx context.Context, wait time.Duration, freed <-chan struct{}) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-freed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isBusy tells whether a claim was not granted because somebody else has it.
func isBusy(err error) bool {
	_, busy := errors.AsType[*store.PostponeError](err)
	return busy
}
