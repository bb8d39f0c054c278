package dispatch

import (
	"context"

	"github.com/drayage/drayage/internal/store"
)

// BlobStore claims blobs for its daemon. [store.Store] is one.
type BlobStore interface {
	ClaimBlobs(ctx context.Context, registry string, digests []string) (store.BlobGrant, error)
	ReleaseBlobs(ctx context.Context, registry, repository string, digests []string) error
}

// StoreBlobs are the claims of a store's blobs in the shape of its claims of tags.
func StoreBlobs(s BlobStore) Blobs { return storeBlobs{s} }

type storeBlobs struct{ store BlobStore }

func (b storeBlobs) ClaimBlobs(ctx context.Context, _ store.Attempt, claim BlobClaim) (BlobGrant, error) {
	grant, err := b.store.ClaimBlobs(ctx, claim.Registry, claim.Digests)
	if err != nil {
		return BlobGrant{}, err
	}
	if grant.Busy {
		return BlobGrant{}, &store.PostponeError{After: claimLatest}
	}
	return BlobGrant{Elsewhere: grant.Elsewhere}, nil
}

func (b storeBlobs) ReleaseBlobs(ctx context.Context, _ store.Attempt, claim BlobClaim, repository string) error {
	return b.store.ReleaseBlobs(ctx, claim.Registry, repository, claim.Digests)
}
