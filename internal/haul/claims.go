package haul

import (
	"context"
	"errors"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/pushspec"
)

// Claims are the rights to write to a registry that processes which share it give one
// another. A haul asks for each as late as it can and releases it as soon as it has
// written, or has failed to. The error of a claim ends the haul as it is.
type Claims interface {
	// ClaimBlobs is asked before the haul's first request, for all blobs that it may
	// have to upload.
	ClaimBlobs(ctx context.Context, blobs []pushspec.Blob) (Claim, error)
	// ClaimReferrers is asked before the index of a subject's referrers is written.
	ClaimReferrers(ctx context.Context, subject v1.Hash) (Claim, error)
	// ClaimTags is asked for all tags of the request once the image is there, right
	// before any of them is written. It is told what they point to.
	ClaimTags(ctx context.Context, tags []Tag) (Claim, error)
}

// Claim is the answer to one who asked.
type Claim struct {
	// Tags are those of the tags asked for that may be written.
	Tags []string
	// Previous is what tags pointed to, by their names, before a run of the same push wrote
	// them that did not come to its end.
	Previous map[string]string
	// Last is what other processes last wrote under tags, as far as they tell one another.
	Last map[string]string
	// Ended, if set, is closed when the lease has ended: no request that writes is sent
	// after that.
	Ended <-chan struct{}
	// Elsewhere are repositories of the registry that other processes have uploaded blobs
	// to, by the blobs' digests. They may not be read from.
	Elsewhere map[string]string
	// Release, if set, ends the claim. It is told whether the haul has written what it
	// claimed.
	Release func(written bool)
}

// errLeaseEnded ends what is done under a lease.
var errLeaseEnded = &Error{Class: Unavailable, Text: "the tags could not be written in the time for which they were this push's: " +
	"the registry was too slow, or the daemons' database was away; the push is tried again"}

// lease gives a context that ends with the lease.
func (c Claim) lease(ctx context.Context) (context.Context, context.CancelFunc) {
	leased, cancel := context.WithCancelCause(ctx)
	select {
	case <-c.Ended:
		cancel(errLeaseEnded)
	default:
		go func() {
			select {
			case <-c.Ended:
				cancel(errLeaseEnded)
			case <-leased.Done():
			}
		}()
	}
	return leased, func() { cancel(nil) }
}

// leaseError is the error of what was done under a lease: that of the lease if it has
// ended meanwhile.
func leaseError(leased context.Context, err error) error {
	if ended := context.Cause(leased); err != nil && errors.Is(ended, errLeaseEnded) {
		return ended
	}
	return err
}

func (c Claim) release(written bool) {
	if c.Release != nil {
		c.Release(written)
	}
}

// alone are the claims of a process that shares its registries with no other.
type alone struct{}

func (alone) ClaimBlobs(context.Context, []pushspec.Blob) (Claim, error) { return Claim{}, nil }

func (alone) ClaimReferrers(context.Context, v1.Hash) (Claim, error) { return Claim{}, nil }

func (alone) ClaimTags(_ context.Context, tags []Tag) (Claim, error) {
	return Claim{Tags: tagNames(tags)}, nil
}
