package haul

import (
	"context"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/registry"
)

// writeManifests writes what is lacking, the leaves first. A root that is the last of
// it is left for its tags.
func (j *job) writeManifests(ctx context.Context, left work) error {
	for i, p := range j.parts {
		if !left.write[p.Digest] {
			continue
		}
		// What comes after the root refers to it: it has to be there, but not yet under
		// its tags.
		if p.Digest == j.req.Spec.Root && i == len(j.parts)-1 && !p.isReferrer() {
			continue
		}
		if err := j.writeManifest(ctx, p, left); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) writeManifest(ctx context.Context, p *part, left work) error {
	if p.Digest != j.req.Spec.Root && j.isThere(p.Digest) && !left.kept[p.Digest] {
		return nil
	}
	written, err := j.to.PutManifest(ctx, p.Digest.String(), string(p.MediaType), p.Data)
	if err != nil {
		return failure(ctx, what("manifest", p.Digest, p.Size), err)
	}
	j.markThere(p.Digest)
	if p.isReferrer() && (written.Subject || left.kept[p.Digest]) {
		j.markListed(p)
	}
	return nil
}

// tagRoot writes the root under the tags, or by its digest where there are none.
func (j *job) tagRoot(ctx context.Context, tags []string) error {
	var root v1.Descriptor
	for _, m := range j.req.Spec.Manifests {
		if m.Digest == j.req.Spec.Root {
			root = m
		}
	}
	// They are claimed although there may be nothing to write: an older build must not
	// write over what this one has found right.
	if len(j.req.Tags) > 0 {
		leased, done, err := j.claim(ctx, &tags)
		defer done()
		if err != nil {
			return err
		}
		ctx = leased
	}
	tags, err := j.checkFree(ctx, tags)
	if err != nil {
		return err
	}
	put := func(reference string, more ...string) (registry.Written, error) {
		written, err := j.to.PutManifest(ctx, reference, string(root.MediaType), root.Data, more...)
		if err != nil {
			err = j.unlessTagged(ctx, reference, failure(ctx, what("image", root.Digest, root.Size), err))
		}
		if err == nil {
			j.markRoot()
		}
		return written, err
	}
	if len(tags) == 0 {
		// Without tags, or where a newer build has them all, the image is there by
		// its digest.
		if j.isThere(root.Digest) {
			return nil
		}
		_, err := put(root.Digest.String())
		return err
	}
	done := map[string]bool{}
	if len(tags) > 1 && j.to.SetsManyTags() {
		written, err := put(root.Digest.String(), tags...)
		if err != nil {
			return err
		}
		for _, tag := range written.Tags {
			done[tag] = true
			j.hauler.tagged.wrote(j.to, tag)
		}
	}
	for _, tag := range tags {
		if done[tag] {
			continue
		}
		if _, err := put(tag); err != nil {
			return err
		}
		j.hauler.tagged.wrote(j.to, tag)
	}
	return j.checkOurs(ctx, tags)
}

// claim asks for all tags of the request, takes those out of pending that are not
// granted, and gives a context that ends with the grant. done has to be called
// when the tags are written.
func (j *job) claim(ctx context.Context, pending *[]string) (leased context.Context, done context.CancelFunc, err error) {
	if j.req.ClaimTags == nil {
		return ctx, func() {}, nil
	}
	granted, until, err := j.req.ClaimTags(ctx, j.req.Tags)
	if err != nil {
		return ctx, func() {}, err
	}
	*pending = slices.DeleteFunc(slices.Clone(*pending), func(tag string) bool { return !slices.Contains(granted, tag) })
	leased, done = context.WithDeadline(ctx, until)
	return leased, done, nil
}

// unlessTagged drops an error if the tag points to the root all the same:
// registries with immutable tags refuse to write what is already so.
func (j *job) unlessTagged(ctx context.Context, reference string, err error) error {
	var failed *Error
	if !asRejected(err, &failed) {
		return err
	}
	if digest, found, lookup := j.to.Head(ctx, reference); lookup == nil && found && digest == j.req.Spec.Root {
		return nil
	}
	return err
}
