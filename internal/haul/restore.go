package haul

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// Restore are tags that are to point again to what they pointed to before they were
// written for an image.
type Restore struct {
	Registry, Repository string
	// Digest is the image's. A tag that does not point to it any more is left alone.
	Digest v1.Hash
	// Tags say where the tags go back to. A tag that was new is removed. One that pointed
	// to the image before is not touched.
	Tags []Tag
	// Unsure are tags that a run which was cut off may have written. What they pointed to
	// before is said by [Claim.Previous]; one of which it says nothing was not written.
	Unsure     []string
	Invocation string
	Claims     Claims
}

// Restored is what became of the tags.
type Restored struct {
	// Tags are those that point to their [Tag.Previous] now, or that are no more where
	// that is empty.
	Tags []Tag
	// Left are sentences about the other tags: which they are, and why they were left
	// alone.
	Left []string
	// Requests counts the requests to the registry.
	Requests int
}

// Restore moves tags back. The error is as that of [Hauler.Haul]; what was done before it
// is told all the same, and not done again by another try.
func (h *Hauler) Restore(ctx context.Context, restore Restore) (Restored, error) {
	s, err := h.ship(Request{
		Spec:       &pushspec.Spec{Destination: pushspec.Destination{Registry: restore.Registry}, Root: restore.Digest},
		Repository: restore.Repository, Invocation: restore.Invocation, Claims: restore.Claims,
	})
	if err != nil {
		return Restored{}, err
	}
	r := &restoration{shipment: s}
	tags := slices.DeleteFunc(slices.Clone(restore.Tags), r.wasOurs)
	for _, name := range restore.Unsure {
		tags = append(tags, Tag{Name: name})
	}
	err = r.restore(ctx, tags, restore.Unsure)
	r.done.Requests = int(s.requests.Load())
	return r.done, err
}

// restoration is a [Restore] under way. The shipment's image is the one that the tags
// leave.
type restoration struct {
	*shipment
	done Restored
}

// wasOurs tells whether a tag pointed to the image before.
func (r *restoration) wasOurs(tag Tag) bool { return tag.Previous == r.request.Spec.Root.String() }

func (r *restoration) restore(ctx context.Context, tags []Tag, unsure []string) (err error) {
	if len(tags) == 0 {
		return nil
	}
	claim, err := r.request.Claims.ClaimTags(ctx, tags)
	if err != nil {
		return err
	}
	defer claim.release(true)
	leased, cancel := claim.lease(ctx)
	defer cancel()
	defer func() { err = leaseError(leased, err) }()

	back := map[string][]string{} // tags, by what they go back to
	var order []string
	for _, tag := range tags {
		if slices.Contains(unsure, tag.Name) {
			var written bool
			if tag.Previous, written = claim.Previous[tag.Name]; !written || r.wasOurs(tag) {
				continue
			}
		}
		if !slices.Contains(claim.Tags, tag.Name) {
			r.leave(tag.Name, "a newer build has written it")
			continue
		}
		ours, err := r.isOurs(leased, tag)
		if err != nil {
			return err
		}
		if !ours {
			continue
		}
		if back[tag.Previous] == nil {
			order = append(order, tag.Previous)
		}
		back[tag.Previous] = append(back[tag.Previous], tag.Name)
	}
	for _, previous := range order {
		if previous == "" {
			err = r.remove(leased, back[previous])
		} else {
			err = r.moveBack(leased, back[previous], previous)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isOurs tells whether a tag still points to the image. One that has gone back already is
// done: an earlier try did not come to its end.
func (r *restoration) isOurs(ctx context.Context, tag Tag) (bool, error) {
	digest, found, err := r.digestOf(ctx, tag.Name)
	switch {
	case err != nil:
		return false, failure(ctx, "tag "+tag.Name, err)
	case found && digest == r.request.Spec.Root:
		return true, nil
	case found && digest.String() == tag.Previous, !found && tag.Previous == "":
		r.done.Tags = append(r.done.Tags, tag)
	case !found:
		r.leave(tag.Name, "somebody has removed it since")
	default:
		r.leave(tag.Name, fmt.Sprintf("it points to %s by now", digest))
	}
	return false, nil
}

// moveBack writes tags for the image from before.
func (r *restoration) moveBack(ctx context.Context, tags []string, previous string) error {
	digest, err := v1.NewHash(previous)
	if err != nil {
		return &Error{Class: Malformed, Text: fmt.Sprintf("previous image %q: %v", previous, err), Err: err}
	}
	data, mediaType, found, err := r.to.Manifest(ctx, previous, maxManifest)
	if err != nil {
		return failure(ctx, "image "+previous, err)
	}
	if !found {
		for _, tag := range tags {
			r.leave(tag, fmt.Sprintf("the registry no longer has %s, which it pointed to before", previous))
		}
		return nil
	}
	before := &shipment{hauler: r.hauler, to: r.to, at: r.at}
	before.request.Spec = &pushspec.Spec{Root: digest, Manifests: []v1.Descriptor{
		{Digest: digest, MediaType: types.MediaType(mediaType), Size: int64(len(data)), Data: data},
	}}
	err = before.writeTags(ctx, tags)
	for _, tag := range before.result.Right {
		r.done.Tags = append(r.done.Tags, Tag{Name: tag, Previous: previous})
	}
	if isUnknown(err) {
		for _, tag := range tags {
			if !slices.Contains(before.result.Right, tag) {
				r.leave(tag, fmt.Sprintf("the registry no longer has all of %s, which it pointed to before", previous))
			}
		}
		return nil
	}
	return err
}

// remove removes tags that were new. Many registries remove no tags.
func (r *restoration) remove(ctx context.Context, tags []string) error {
	for _, tag := range tags {
		err := r.to.DeleteTag(ctx, tag)
		answer, ok := errors.AsType[*registry.Error](err)
		switch {
		case err == nil:
			r.done.Tags = append(r.done.Tags, Tag{Name: tag})
		case ok && !answer.Passing() && !answer.Throttled():
			r.leave(tag, fmt.Sprintf("it was new, and the registry does not remove it (%v)", err))
		default:
			return failure(ctx, "tag "+tag, err)
		}
	}
	return nil
}

func (r *restoration) leave(tag, why string) {
	r.done.Left = append(r.done.Left, fmt.Sprintf("tag %s was left alone: %s", tag, why))
}
