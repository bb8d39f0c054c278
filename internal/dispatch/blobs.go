package dispatch

import (
	"context"
	"time"

	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// Blobs keep daemons that share a store from uploading the same blob each.
type Blobs interface {
	// ClaimBlobs is asked before blobs are uploaded to a registry.
	ClaimBlobs(ctx context.Context, registry string, digests []string) (store.BlobGrant, error)
	// ReleaseBlobs says which repository has them now; none does if it is "".
	ReleaseBlobs(ctx context.Context, registry, repository string, digests []string) error
}

const (
	// claimSoonest and claimLatest bound the time between two looks at whether
	// another daemon has uploaded what both need.
	claimSoonest = 20 * time.Millisecond
	claimLatest  = 500 * time.Millisecond
)

// claimBlobs waits until this daemon may upload the spec's blobs, and names in the
// spec the repositories of those that another daemon has uploaded meanwhile, so
// that they are mounted from there. The function that it returns ends the claim.
func (w *Worker) claimBlobs(ctx context.Context, spec *pushspec.Spec, repository string) (release func(pushed bool), err error) {
	var digests []string
	for _, blob := range spec.Blobs {
		if len(blob.Data) == 0 && pushspec.Distributable(blob.MediaType) { // what the spec brings along is small
			digests = append(digests, blob.Digest.String())
		}
	}
	registry := spec.Destination.Registry
	var grant store.BlobGrant
	for wait := claimSoonest; ; wait = min(2*wait, claimLatest) {
		if grant, err = w.blobs.ClaimBlobs(ctx, registry, digests); err != nil {
			return nil, err
		}
		if !grant.Busy {
			break
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
	}
	for i := range spec.Blobs {
		blob := &spec.Blobs[i]
		if from := grant.Elsewhere[blob.Digest.String()]; from != "" && from != repository {
			blob.Sources = append(blob.Sources, pushspec.Source{Repository: registry + "/" + from})
		}
	}
	return func(pushed bool) {
		if !pushed {
			repository = ""
		}
		// Whatever became of the job, the blobs are where they are.
		if err := w.blobs.ReleaseBlobs(context.WithoutCancel(ctx), registry, repository, digests); err != nil {
			w.logger.Warn().Err(err).Str("registry", registry).Msg("other daemons are not told where blobs went")
		}
	}, nil
}
