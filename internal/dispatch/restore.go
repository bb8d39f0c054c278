package dispatch

import (
	"context"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
)

// removedTag is the [ledger.Tag.Digest] of a tag that a rollback has removed.
const removedTag = "none"

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
	for _, tag := range row.Tags {
		if row.Outcome.Bad() && tag.Previous == "" {
			request.Unsure = append(request.Unsure, tag.Name) // nobody may have looked, or written it
			continue
		}
		request.Tags = append(request.Tags, haul.Tag{Name: tag.Name, Previous: tag.Previous})
	}
	done, err := r.worker.opts.Hauler.Restore(ctx, request)
	r.entry.Requests = done.Requests
	r.entry.Tags = nil
	for _, tag := range done.Tags {
		back := ledger.Tag{Name: tag.Name, Previous: row.Digest, Digest: tag.Previous}
		if back.Digest == "" {
			back.Digest = removedTag
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
