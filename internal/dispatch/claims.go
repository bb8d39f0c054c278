package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/store"
)

// Claims are exclusive rights, each for a time, that daemons which share a store give one
// another: to write tags, and to upload blobs. Both are asked for with a claim, on behalf
// of a run, and answered with a grant, or with a [*store.PostponeError] while somebody
// else has something of it.

// Tags keep an older build from writing over a newer one's tags. What was granted is
// released with the run's row.
type Tags interface {
	ClaimTags(ctx context.Context, attempt store.Attempt, claim store.TagClaim) (store.TagGrant, error)
}

// Blobs keep daemons from uploading the same blob each.
type Blobs interface {
	ClaimBlobs(ctx context.Context, attempt store.Attempt, claim store.BlobClaim) (store.BlobGrant, error)
	// ReleaseBlobs ends a claim. Repository is the one that has the blobs now, or "" if
	// none does.
	ReleaseBlobs(ctx context.Context, attempt store.Attempt, claim store.BlobClaim, repository string) error
}

const (
	// claimSoonest and claimLatest bound the time between two looks at whether a claim can
	// be had.
	claimSoonest = 20 * time.Millisecond
	claimLatest  = 500 * time.Millisecond
)

// waitFor asks for a claim until it is granted. With the patience at its end the error is
// the last [*store.PostponeError].
func waitFor[Grant any](ctx context.Context, patience time.Duration, ask func(context.Context) (Grant, error)) (Grant, error) {
	deadline := time.Now().Add(patience)
	for wait := claimSoonest; ; wait = min(2*wait, claimLatest) {
		grant, err := ask(ctx)
		if !isBusy(err) || !time.Now().Add(wait).Before(deadline) {
			return grant, err
		}
		if err := clock.Wait(ctx, wait); err != nil {
			return grant, err
		}
	}
}

// isBusy tells whether a claim was not granted because somebody else has it.
func isBusy(err error) bool {
	_, busy := errors.AsType[*store.PostponeError](err)
	return busy
}
