package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
)

// restore moves tags back to what they pointed to before the row that the job is done to.
func (r *run) restore(ctx context.Context) error {
	row, err := r.readRow(ctx)
	if err != nil {
		return err
	}
	return r.inShare(ctx, func(ctx context.Context) error { return r.moveBack(ctx, row) })
}

func (r *run) moveBack(ctx context.Context, row ledger.Entry) error {
	digest, err := v1.NewHash(row.Digest)
	if err != nil {
		return &haul.Error{Class: haul.Malformed, Text: "the ledger's digest of the image: " + err.Error(), Err: err}
	}
	request := haul.Restore{
		Registry: row.Registry, Repository: row.Repository, Digest: digest, Unsure: row.HeldTags, Invocation: r.job.Invocation, Claims: r,
	}
	if row.Outcome.Bad() {
		for _, tag := range row.Tags {
			if tag.Previous == "" {
				request.Unsure = append(request.Unsure, tag.Name) // nobody may have looked, or written it
			}
		}
	}
	if request.Tags, err = r.movedTags(ctx, row); err != nil {
		return err
	}
	done, err := r.worker.opts.Hauler.Restore(ctx, request)
	r.entry.Requests = done.Requests
	r.entry.Tags = nil
	for _, tag := range done.Tags {
		back := ledger.Tag{Name: tag.Name, Previous: row.Digest, Digest: tag.Previous}
		if back.Digest == "" {
			back.Digest = ledger.RemovedTag
		}
		r.entry.Tags = append(r.entry.Tags, back)
	}
	if err != nil {
		return err
	}
	r.entry.Outcome = ledger.RolledBack
	r.entry.Error = strings.Join(done.Left, "; ")
	return nil
}

// maxPushRows bounds the rows of one push that are read: one of each time that it was done.
const maxPushRows = 100

// movedTags are the tags that the push has moved to the row's image, with what they pointed
// to before it last did: a push that was repeated found them where it had put them.
func (r *run) movedTags(ctx context.Context, row ledger.Entry) ([]haul.Tag, error) {
	rows, err := r.worker.opts.Releases.Entries(ctx, ledger.Query{Invocation: r.job.Invocation, Target: row.Target, Limit: maxPushRows})
	if err != nil {
		return nil, fmt.Errorf("read what the push of %s did before: %w", row.Target, err)
	}
	var tags []haul.Tag
	for _, e := range rows { // the newest first
		if e.Digest != row.Digest || e.Registry != row.Registry || e.Repository != row.Repository || e.Outcome == ledger.RolledBack {
			continue
		}
		for _, tag := range e.Tags {
			known := slices.ContainsFunc(tags, func(t haul.Tag) bool { return t.Name == tag.Name })
			if known || tag.Previous == e.Digest || e.Outcome.Bad() && tag.Previous == "" {
				continue
			}
			tags = append(tags, haul.Tag{Name: tag.Name, Previous: tag.Previous})
		}
	}
	return tags, nil
}
