package dispatch

import (
	"context"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

const (
	// claimPatience is for how long another daemon is left to upload what both need,
	// and longer by a second for each claimPace bytes: its repository may refuse what
	// this one's takes, and its next one as well.
	claimPatience = 20 * time.Second
	claimPace     = 4 << 20
	// claimLimit bounds that.
	claimLimit = 10 * time.Minute
)

// ClaimBlobs implements [haul.Claims].
func (r *run) ClaimBlobs(ctx context.Context, blobs []pushspec.Blob) (haul.Claim, error) {
	claim := store.BlobClaim{Registry: r.destination.Registry}
	var size int64
	for _, blob := range blobs {
		claim.Digests = append(claim.Digests, blob.Digest.String())
		size += blob.Size
	}
	patience := min(claimPatience+time.Duration(size/claimPace)*time.Second, claimLimit)
	return r.claimBlobs(ctx, claim, patience)
}

// ClaimReferrers implements [haul.Claims]: the index of a subject's referrers is claimed
// under a name of its own. One that takes too long is not waited for: the index is looked
// at afterwards.
func (r *run) ClaimReferrers(ctx context.Context, subject v1.Hash) (haul.Claim, error) {
	name := "referrers of " + r.destination.Repository + "@" + subject.String()
	granted, err := r.claimBlobs(ctx, store.BlobClaim{Registry: r.destination.Registry, Digests: []string{name}}, claimPatience)
	if release := granted.Release; release != nil {
		granted.Release = func(bool) { release(false) } // it is nothing that can be mounted
	}
	return granted, err
}

// claimBlobs waits until this daemon has a claim, or until the one that has it has taken
// too long.
func (r *run) claimBlobs(ctx context.Context, claim store.BlobClaim, patience time.Duration) (haul.Claim, error) {
	grant, err := waitFor(ctx, patience, func(ctx context.Context) (store.BlobGrant, error) {
		return r.worker.opts.Blobs.ClaimBlobs(ctx, r.attempt, claim)
	})
	if isBusy(err) {
		r.logger.Info().Str("registry", claim.Registry).Str("repository", r.destination.Repository).Dur("waited", patience).
			Msg("another daemon still uploads what this push needs; this push goes ahead")
		return haul.Claim{}, nil
	}
	if err != nil {
		return haul.Claim{}, err
	}
	return haul.Claim{Elsewhere: grant.Elsewhere, Release: func(written bool) { r.releaseBlobs(ctx, claim, written) }}, nil
}

func (r *run) releaseBlobs(ctx context.Context, claim store.BlobClaim, written bool) {
	repository := ""
	if written {
		repository = r.destination.Repository
	}
	// Whatever became of the job, the blobs are where they are.
	if err := r.worker.opts.Blobs.ReleaseBlobs(context.WithoutCancel(ctx), r.attempt, claim, repository); err != nil {
		r.logger.Warn().Err(err).Str("registry", claim.Registry).Msg("cannot tell other daemons where blobs went")
	}
}
