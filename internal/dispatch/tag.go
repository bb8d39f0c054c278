package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// undecidedPause is when a job comes back whose release waits again: the stream of a build
// that was broken off has come back.
const undecidedPause = 5 * time.Second

// tag moves the tags of an image that was staged, or notes that they are withheld.
func (r *run) tag(ctx context.Context) error {
	staged, err := r.readRow(ctx)
	if err != nil {
		return err
	}
	r.noteHeld(staged)
	switch r.release.State {
	case store.ReleaseOpen:
	case store.ReleaseClosed:
		r.noteWithheld()
		return nil
	default:
		return &store.PostponeError{After: undecidedPause}
	}
	if err := r.admit(); err != nil {
		return err
	}
	return r.inShare(ctx, func(ctx context.Context) error { return r.retag(ctx) })
}

// readRow reads the row that the job is done to, and what was decided on its invocation.
func (r *run) readRow(ctx context.Context) (ledger.Entry, error) {
	row, found, err := r.worker.opts.Releases.Entry(ctx, r.job.Entry)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("read row %d of the ledger: %w", r.job.Entry, err)
	}
	if !found {
		return ledger.Entry{}, fmt.Errorf("row %d of the ledger is not there", r.job.Entry)
	}
	if r.release, found, err = r.worker.opts.Releases.Release(ctx, r.job.Invocation); err != nil {
		return ledger.Entry{}, fmt.Errorf("read what was decided on the tags of invocation %s: %w", r.job.Invocation, err)
	}
	if !found {
		return ledger.Entry{}, fmt.Errorf("nothing was decided on the tags of invocation %s", r.job.Invocation)
	}
	r.noteImage(row)
	return row, nil
}

// noteImage notes which image the job is about, and who decided on it.
func (r *run) noteImage(row ledger.Entry) {
	r.entry.Registry, r.entry.Repository = row.Registry, row.Repository
	r.entry.Digest, r.entry.Manifests = row.Digest, row.Manifests
	r.entry.Gate, r.entry.By = row.Gate, r.release.By
	r.destination = pushspec.Destination{Registry: row.Registry, Repository: row.Repository}
}

// noteHeld notes which tags the image is to have. One that was rolled back is to have again
// those that it had.
func (r *run) noteHeld(row ledger.Entry) {
	tags := slices.Clone(row.HeldTags)
	for _, tag := range row.Tags {
		if !slices.Contains(tags, tag.Name) {
			tags = append(tags, tag.Name)
		}
	}
	r.destination.Tags, r.entry.HeldTags = tags, tags
	if r.entry.NeverOverwrite = row.NeverOverwrite; row.NeverOverwrite {
		r.destination.Overwrite = pushspec.OverwriteNever
	}
}

// noteWithheld notes that the tags do not move, and why.
func (r *run) noteWithheld() {
	r.entry.Outcome = ledger.Withheld
	r.entry.ErrorClass, r.entry.Error = r.release.Class, r.release.Reason
}

// retag writes the tags. If the registry has lost the image, all of it is hauled again.
func (r *run) retag(ctx context.Context) error {
	root, err := r.root(ctx)
	if err != nil {
		return err
	}
	result, err := r.worker.opts.Hauler.Retag(ctx, haul.Retag{
		Registry:   r.destination.Registry,
		Repository: r.destination.Repository,
		Root:       root,
		Tags:       r.destination.Tags,
		KeepTags:   r.keepTags,
		ReadBack:   r.readBack,
		Invocation: r.job.Invocation,
		Claims:     r,
	})
	r.noteCounts(result)
	if errors.Is(err, haul.ErrGone) {
		r.logger.Warn().Err(err).Msg("the image is hauled again")
		return r.haulAgain(ctx)
	}
	if err != nil {
		r.noteSome(result)
		return err
	}
	r.noteOutcome(result)
	return r.conflict()
}

// root is the image's root manifest, without its bytes where the registry alone has them.
func (r *run) root(ctx context.Context) (v1.Descriptor, error) {
	digest, err := v1.NewHash(r.entry.Digest)
	if err != nil {
		return v1.Descriptor{}, &haul.Error{Class: haul.Malformed, Text: fmt.Sprintf("the ledger's digest of the image: %v", err), Err: err}
	}
	kept, _, err := r.worker.opts.Releases.KeptManifest(ctx, r.entry.Digest)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{Digest: digest, MediaType: types.MediaType(kept.MediaType), Size: int64(len(kept.Data)), Data: kept.Data}, nil
}

// haulAgain brings the whole image once more, with its tags.
func (r *run) haulAgain(ctx context.Context) error {
	if err := r.readSpec(ctx); err != nil {
		return err
	}
	if root := r.spec.Root.String(); root != r.entry.Digest {
		return &pushspec.Error{Target: r.spec.Target, Field: "root", Reason: fmt.Sprintf("is %s, and not %s, which was staged", root, r.entry.Digest)}
	}
	if err := r.admit(); err != nil {
		return err
	}
	return r.haul(ctx)
}

// noteSome notes which tags a job wrote that has failed at others, so that they can be
// rolled back.
func (r *run) noteSome(result haul.Result) {
	if result.Tags == nil {
		return
	}
	r.entry.Tags, r.entry.HeldTags = nil, nil
	for _, tag := range result.Tags {
		if slices.Contains(result.Right, tag.Name) {
			r.entry.Tags = append(r.entry.Tags, ledger.Tag{Name: tag.Name, Previous: tag.Previous})
		} else {
			r.entry.HeldTags = append(r.entry.HeldTags, tag.Name)
		}
	}
}
