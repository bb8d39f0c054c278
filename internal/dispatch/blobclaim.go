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
	// claimTime is for how long a claim is renewed, and longer by a second for each
	// claimPace bytes, while the registry takes bytes or answers.
	claimTime = time.Minute
	claimPace = 1 << 20
	// claimLimit bounds that.
	claimLimit = 30 * time.Minute
	// claimSilence is for how long a registry may be silent before claims are left to
	// end: another daemon may reach it.
	claimSilence = 30 * time.Second
	// claimGrace is for how long a claim is waited for beyond the time for which it would
	// be renewed here: its holder's repository may refuse what this one's takes, and its
	// next one as well.
	claimGrace = store.DefaultLease
)

// ClaimBlobs implements [haul.Claims].
func (r *run) ClaimBlobs(ctx context.Context, blobs []pushspec.Blob) (haul.Claim, error) {
	claim := store.BlobClaim{Registry: r.host()}
	var size int64
	for _, blob := range blobs {
		claim.Digests = append(claim.Digests, blob.Digest.String())
		size += blob.Size
	}
	claim.Limit = min(claimTime+time.Duration(size/claimPace)*time.Second, claimLimit)
	granted, err := r.claimBlobs(ctx, claim)
	r.releaseUploaded = granted.Release
	return granted, err
}

// ClaimReferrers implements [haul.Claims]: the index of a subject's referrers is claimed
// under a name of its own. One that takes too long is not waited for: the index is looked
// at afterwards.
func (r *run) ClaimReferrers(ctx context.Context, subject v1.Hash) (haul.Claim, error) {
	name := "referrers of " + r.destination.Repository + "@" + subject.String()
	granted, err := r.claimBlobs(ctx, store.BlobClaim{Registry: r.host(), Digests: []string{name}, Limit: claimTime})
	if release := granted.Release; release != nil {
		granted.Release = func(bool) { release(false) } // it is nothing that can be mounted
	}
	return granted, err
}

// claimBlobs waits until this daemon has a claim: for as long as the lease of the one that
// has it is renewed, but not for much longer than its own would be.
func (r *run) claimBlobs(ctx context.Context, claim store.BlobClaim) (haul.Claim, error) {
	patience := claim.Limit + claimGrace
	grant, err := waitFor(ctx, patience, func(ctx context.Context) (store.BlobGrant, error) {
		claim.GetsOn = r.getsOn(claim.Registry)
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

// getsOn tells, from now on, whether a registry has taken bytes or answered lately.
func (r *run) getsOn(registry string) func() bool {
	claimed, lastProgress := time.Now(), r.worker.opts.Hauler.LastProgress
	return func() bool {
		last := lastProgress(registry)
		if last.Before(claimed) {
			last = claimed
		}
		return time.Since(last) < claimSilence
	}
}

func (r *run) releaseBlobs(ctx context.Context, claim store.BlobClaim, written bool) {
	repository := ""
	if written {
		repository = r.destination.Repository
	}
	// Whatever became of the job, the blobs are where they are.
	if err := r.worker.opts.Blobs.ReleaseBlobs(context.WithoutCancel(ctx), r.attempt, claim, repository); err != nil {
		r.logger.Warn().Err(err).Str("registry", claim.Registry).Msg("cannot tell other daemons where blobs went yet; trying again until they can have them anyway")
	}
}
