package haul

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/registry"
)

// writeManifests writes all manifests but the root, then the root and its tags.
func (j *job) writeManifests(ctx context.Context, tags []string) error {
	var root *v1.Descriptor
	afterRoot := false
	for i := range j.req.Spec.Manifests {
		m := &j.req.Spec.Manifests[i]
		if m.Digest == j.req.Spec.Root {
			root = m
			// What comes after the root refers to it: it has to be there, but not yet
			// under its tags.
			if afterRoot = i < len(j.req.Spec.Manifests)-1; !afterRoot {
				break
			}
		}
		written, err := j.writeManifest(ctx, m)
		if err != nil {
			return err
		}
		if !written.Subject {
			if err := j.listReferrer(ctx, m); err != nil {
				return err
			}
		}
	}
	if root == nil {
		return &Error{Class: Malformed, Text: fmt.Sprintf("push spec: root %s is not one of its manifests", j.req.Spec.Root)}
	}
	if len(tags) == 0 && afterRoot {
		return nil
	}
	return j.tagRoot(ctx, tags)
}

func (j *job) writeManifest(ctx context.Context, m *v1.Descriptor) (registry.Written, error) {
	if m.Digest != j.req.Spec.Root && j.hauler.known.has(j.to.Registry(), j.to.Name(), m.Digest) {
		return registry.Written{Subject: true}, nil
	}
	written, err := j.to.PutManifest(ctx, m.Digest.String(), string(m.MediaType), m.Data)
	if err != nil {
		return written, failure(ctx, what("manifest", m.Digest, m.Size), err)
	}
	j.hauler.known.add(j.to.Registry(), j.to.Name(), m.Digest)
	return written, nil
}

// tagRoot writes the root under the tags, or by its digest where there are none.
func (j *job) tagRoot(ctx context.Context, tags []string) error {
	var root v1.Descriptor
	for _, m := range j.req.Spec.Manifests {
		if m.Digest == j.req.Spec.Root {
			root = m
		}
	}
	if len(tags) > 0 {
		leased, done, err := j.claim(ctx, &tags)
		defer done()
		if err != nil {
			return err
		}
		ctx = leased
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
		if j.hauler.known.has(j.to.Registry(), j.to.Name(), root.Digest) {
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
	var failures tagFailures
	for _, tag := range tags {
		if done[tag] {
			continue
		}
		if _, err := put(tag); err != nil && !failures.note(tag, err) {
			return err
		} else if err == nil {
			j.hauler.tagged.wrote(j.to, tag)
		}
	}
	return failures.err(tags)
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
	if pending != nil {
		*pending = slices.DeleteFunc(slices.Clone(*pending), func(tag string) bool { return !slices.Contains(granted, tag) })
	}
	leased, done = context.WithDeadline(ctx, until)
	return leased, done, nil
}

// unlessTagged drops an error if the tag points to the root all the same:
// registries with immutable tags refuse to write what is already so.
func (j *job) unlessTagged(ctx context.Context, reference string, err error) error {
	var failed *Error
	if !asRejected(err, &failed) || tookAnother(err) {
		return err
	}
	if digest, found, lookup := j.to.Head(ctx, reference); lookup == nil && found && digest == j.req.Spec.Root {
		return nil
	}
	return err
}

// tookAnother tells whether a registry took a manifest, and for another than was sent.
func tookAnother(err error) bool {
	var answer *registry.Error
	return errors.As(err, &answer) && answer.Status >= 200 && answer.Status < 300
}
