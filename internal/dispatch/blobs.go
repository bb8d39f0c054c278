package dispatch

import (
	"context"
	"errors"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/clock"
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

	// claimPatience is for how long another daemon is left to upload what both need,
	// and longer by a second for each claimPace bytes: its repository may refuse what
	// this one's takes, and its next one as well.
	claimPatience = 20 * time.Second
	claimPace     = 4 << 20
	// claimLimit bounds that.
	claimLimit = 10 * time.Minute
)

// blobClaim is what a job knows of the blobs that daemons share.
type blobClaim struct {
	// elsewhere are repositories of the registry that have blobs, by their digests.
	elsewhere map[string]string
	// release ends the claim.
	release func(pushed bool)
}

// claimBlobs waits until this daemon may upload the spec's blobs, or until the one that
// may has taken too long.
func (w *Worker) claimBlobs(ctx context.Context, spec *pushspec.Spec, repository string) (blobClaim, error) {
	var digests []string
	var size int64
	for _, blob := range spec.Blobs {
		if len(blob.Data) == 0 && pushspec.Distributable(blob.MediaType) { // what the spec brings along is small
			digests = append(digests, blob.Digest.String())
			size += blob.Size
		}
	}
	patience := min(claimPatience+time.Duration(size/claimPace)*time.Second, claimLimit)
	registry := spec.Destination.Registry
	grant, err := w.claim(ctx, registry, digests, patience)
	if errors.Is(err, errClaimed) {
		w.logger.Info().Str("registry", registry).Str("repository", repository).Dur("waited", patience).
			Msg("another daemon is still at blobs that this push needs; it goes ahead")
		return blobClaim{release: func(bool) {}}, nil
	}
	if err != nil {
		return blobClaim{}, err
	}
	return blobClaim{elsewhere: grant.Elsewhere, release: func(pushed bool) {
		if !pushed {
			repository = ""
		}
		w.releaseBlobs(ctx, registry, repository, digests)
	}}, nil
}

// errClaimed says that another daemon has had a claim for too long to wait.
var errClaimed = errors.New("another daemon has it")

// claim waits for a claim.
func (w *Worker) claim(ctx context.Context, registry string, digests []string, patience time.Duration) (store.BlobGrant, error) {
	deadline := time.Now().Add(patience)
	for wait := claimSoonest; ; wait = min(2*wait, claimLatest) {
		grant, err := w.blobs.ClaimBlobs(ctx, registry, digests)
		if err != nil || !grant.Busy {
			return grant, err
		}
		if !time.Now().Add(wait).Before(deadline) {
			return store.BlobGrant{}, errClaimed
		}
		if err := clock.Wait(ctx, wait); err != nil {
			return store.BlobGrant{}, err
		}
	}
}

func (w *Worker) releaseBlobs(ctx context.Context, registry, repository string, digests []string) {
	// Whatever became of the job, the blobs are where they are.
	if err := w.blobs.ReleaseBlobs(context.WithoutCancel(ctx), registry, repository, digests); err != nil {
		w.logger.Warn().Err(err).Str("registry", registry).Msg("other daemons are not told where blobs went")
	}
}

// lockReferrers is [haul.Request]'s: it keeps daemons that share a store from writing one
// index of referrers at the same time. One that takes too long is not waited for: the
// index is looked at afterwards.
func (w *Worker) lockReferrers(registry string) func(ctx context.Context, repository string, subject v1.Hash) (unlock func(), err error) {
	return func(ctx context.Context, repository string, subject v1.Hash) (func(), error) {
		name := []string{"referrers of " + repository + "@" + subject.String()}
		_, err := w.claim(ctx, registry, name, claimPatience)
		if errors.Is(err, errClaimed) {
			return func() {}, nil
		}
		if err != nil {
			return nil, err
		}
		return func() { w.releaseBlobs(ctx, registry, "", name) }, nil
	}
}
