package dispatch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/store"
)

// tagPatience is for how long another job is left to write a tag. A lease that is not
// renewed ends before.
const tagPatience = 2 * store.DefaultLease

// ClaimTags implements [haul.Claims]. It waits for a tag that another job writes. One that
// takes too long is not waited for: the job comes again.
func (r *run) ClaimTags(ctx context.Context, tags []haul.Tag) (haul.Claim, error) {
	registry, repository := r.destination.Address()
	claim := store.TagClaim{
		Registry: registry, Repository: repository, Digest: r.entry.Digest, Target: r.job.Target,
		Invocation: r.job.Invocation, Started: r.invocation.Order(), Number: r.invocation.Number,
		Restore: r.job.Action == store.ActionRestore,
	}
	if !claim.Restore {
		claim.Previous = map[string]string{}
	}
	for _, tag := range tags {
		claim.Tags = append(claim.Tags, tag.Name)
		if !claim.Restore {
			claim.Previous[tag.Name] = tag.Previous
		}
	}
	var err error
	r.tags, err = waitFor(ctx, tagPatience, func(ctx context.Context) (store.TagGrant, error) {
		grant, err := r.worker.opts.Tags.ClaimTags(ctx, r.attempt, claim)
		if isBusy(err) && r.releaseUploaded != nil {
			r.releaseUploaded(true) // they are there by now: nobody has to wait for them as well
			r.releaseUploaded = nil
		}
		return grant, err
	})
	if err != nil {
		return haul.Claim{}, err
	}
	if slices.ContainsFunc(r.tags.Conflicts, func(c store.ConflictingTag) bool { return !c.Ours }) {
		return haul.Claim{}, r.conflict()
	}
	granted := haul.Claim{Tags: r.tags.Tags, Previous: r.tags.Previous, Last: r.tags.Last}
	if r.tags.Lease != nil {
		granted.Ended = r.tags.Lease.Ended()
	}
	return granted, nil
}

// conflictError says that two targets of one build want a tag for two images.
type conflictError struct{ text string }

func (e *conflictError) Error() string { return e.text }

// conflict is the error for tags that another target of the same build wants as well, or
// nil.
func (r *run) conflict() error {
	var texts []string
	for _, c := range r.tags.Conflicts {
		whose := "it points to that image, and no tag of this target was written"
		if c.Ours {
			whose = "it pointed to that image, and points to this target's now, " + r.entry.Digest
		}
		texts = append(texts, fmt.Sprintf("tag %s: %s of the same build wants it for another image, %s; %s", c.Name, c.Target, c.Digest, whose))
	}
	if len(texts) == 0 {
		return nil
	}
	return &conflictError{strings.Join(texts, "; ") +
		". The target whose label sorts first gets the tag: give each target a tag or a repository of its own, or build only one of them"}
}

// explainSuperseded says which newer builds were faster, and how somebody has the tags
// all the same who has asked for them.
func (r *run) explainSuperseded() string {
	var texts []string
	for _, tag := range r.tags.Superseded {
		text := fmt.Sprintf("tag %s still points to %s, which the newer invocation %s has pushed", tag.Name, tag.Digest, tag.Invocation)
		if r.release.By != "" {
			text += fmt.Sprintf("; to move it all the same, run drayage fence lift %s/%s:%s, and then have the build promoted again", r.entry.Registry, r.entry.Repository, tag.Name)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}
