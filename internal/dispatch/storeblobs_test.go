package dispatch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/store"
)

// oneDaemon is a store in which another daemon has all blobs but one.
type oneDaemon struct {
	free     string
	released []string
}

func (d *oneDaemon) ClaimBlobs(_ context.Context, registry string, digests []string) (store.BlobGrant, error) {
	if len(digests) == 1 && digests[0] == d.free {
		return store.BlobGrant{Elsewhere: map[string]string{d.free: registry + "/base"}}, nil
	}
	return store.BlobGrant{Busy: true}, nil
}

func (d *oneDaemon) ReleaseBlobs(_ context.Context, registry, repository string, digests []string) error {
	d.released = append([]string{registry, repository}, digests...)
	return nil
}

func TestAStoresBlobsAreClaimedInTheShapeOfTags(t *testing.T) {
	daemon := &oneDaemon{free: "sha256:1"}
	blobs := dispatch.StoreBlobs(daemon)
	_, err := blobs.ClaimBlobs(t.Context(), store.Attempt{}, dispatch.BlobClaim{Registry: "r.test", Digests: []string{"sha256:1", "sha256:2"}})
	if _, postponed := errors.AsType[*store.PostponeError](err); !postponed {
		t.Errorf("blobs that another daemon has: error is %v, want to be postponed", err)
	}
	claim := dispatch.BlobClaim{Registry: "r.test", Digests: []string{"sha256:1"}}
	grant, err := blobs.ClaimBlobs(t.Context(), store.Attempt{}, claim)
	if err != nil || grant.Elsewhere["sha256:1"] != "r.test/base" {
		t.Errorf("the grant is %+v, error %v", grant, err)
	}
	if err := blobs.ReleaseBlobs(t.Context(), store.Attempt{}, claim, "app"); err != nil || len(daemon.released) != 3 || daemon.released[1] != "app" {
		t.Errorf("released %q, error %v", daemon.released, err)
	}
}
