package dispatch

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// Releases are what is known of the images whose tags wait at a gate, or have.
type Releases interface {
	// Release says whether the tags of an invocation move.
	Release(ctx context.Context, invocation string) (store.Release, bool, error)
	// Entry is a row of the ledger.
	Entry(ctx context.Context, id int64) (ledger.Entry, bool, error)
	// Entries are rows of the ledger, the newest first.
	Entries(ctx context.Context, query ledger.Query) ([]ledger.Entry, error)
	// HasImage tells whether a repository is known to have got an image.
	HasImage(ctx context.Context, registry, repository, digest string) (bool, error)
	// KeptManifest is the root manifest that was kept of a staged image.
	KeptManifest(ctx context.Context, digest string) (store.StagedManifest, bool, error)
}

// askStaged makes a request one that leaves the tags alone.
func (r *run) askStaged(ctx context.Context, request *haul.Request) error {
	request.Stage = true
	var err error
	registry, repository := r.destination.Registry, r.destination.Repository
	if request.Known, err = r.worker.opts.Releases.HasImage(ctx, registry, repository, r.entry.Digest); err != nil {
		return fmt.Errorf("find out whether %s/%s is known to have %s: %w", registry, repository, r.entry.Digest, err)
	}
	return nil
}

// noteStaged notes that the image is there and its tags wait. The manifest is kept with
// that, so that the tags move in one request each.
func (r *run) noteStaged() {
	r.entry.Outcome = ledger.Staged
	r.entry.Tags, r.entry.HeldTags = nil, r.destination.Tags
	r.entry.NeverOverwrite = r.destination.KeepTags() != nil
	for _, m := range r.spec.Manifests {
		if m.Digest == r.spec.Root {
			r.attempt.Keep(m.Digest.String(), string(m.MediaType), m.Data)
		}
	}
}
