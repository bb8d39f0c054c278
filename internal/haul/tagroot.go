package haul

import (
	"context"
	"errors"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/registry"
)

// tagRoot writes the root under the tags, or by its digest where there are none.
func (s *shipment) tagRoot(ctx context.Context, pending []string) (err error) {
	// They are claimed although there may be nothing to write: an older build must not
	// write over what this one has found right.
	if len(s.result.Tags) > 0 {
		claim, refused := s.claimTags(ctx)
		if refused != nil {
			return refused
		}
		defer claim.release(true)
		leased, cancel := claim.lease(ctx)
		defer cancel()
		defer func() { err = leaseError(leased, err) }()
		ctx = leased
		pending = slices.DeleteFunc(slices.Clone(pending), func(tag string) bool { return !slices.Contains(claim.Tags, tag) })
	}
	pending, err = s.checkFree(ctx, pending)
	if err != nil {
		return err
	}
	if len(pending) == 0 {
		// Without tags, or where a newer build has them all, the image is there by
		// its digest.
		if s.staged || s.isThere(s.request.Spec.Root) {
			return nil
		}
		_, err := s.putRoot(ctx, s.request.Spec.Root.String())
		return err
	}
	if err := s.writeTags(ctx, pending); err != nil {
		return err
	}
	if err := s.checkOurs(ctx, pending); err != nil {
		return err
	}
	return s.readBack(ctx, pending)
}

// claimTags claims the tags. What they point to was looked up before that, and who had the
// claim until now may have written them since: then they are looked up again, and claimed
// with what they point to now.
func (s *shipment) claimTags(ctx context.Context) (Claim, error) {
	claim, err := s.request.Claims.ClaimTags(ctx, s.result.Tags)
	if err != nil {
		return Claim{}, err
	}
	again := false
	for i, tag := range s.result.Tags {
		last, told := claim.Last[tag.Name]
		earlier, known := claim.Previous[tag.Name]
		if !told || last == tag.Previous || known && earlier != tag.Previous || !slices.Contains(claim.Tags, tag.Name) {
			continue
		}
		digest, found, err := s.digestOf(ctx, tag.Name)
		if err != nil {
			claim.release(false)
			return Claim{}, failure(ctx, "tag "+tag.Name, err)
		}
		now := ""
		if found {
			now = digest.String()
		}
		if now != tag.Previous {
			s.result.Tags[i].Previous, again = now, true
		}
	}
	if again {
		claim.release(false)
		if claim, err = s.request.Claims.ClaimTags(ctx, s.result.Tags); err != nil {
			return Claim{}, err
		}
	}
	s.notePrevious(claim)
	return claim, nil
}

// notePrevious notes what tags pointed to before another run wrote them that did not come
// to its end.
func (s *shipment) notePrevious(claim Claim) {
	for i, tag := range s.result.Tags {
		previous, known := claim.Previous[tag.Name]
		if known && previous != tag.Previous {
			s.result.Tags[i].Previous = previous
			s.result.AlreadyThere = false
		}
	}
}

// writeTags writes the root under several tags: at once where the registry takes that,
// and else one by one.
func (s *shipment) writeTags(ctx context.Context, pending []string) error {
	written := map[string]bool{}
	if len(pending) > 1 && s.to.SetsManyTags() {
		answer, err := s.putRoot(ctx, s.request.Spec.Root.String(), pending...)
		if err != nil {
			return err
		}
		for _, tag := range answer.Tags {
			written[tag] = true
			s.noteWritten(tag)
		}
	}
	var failures tagFailures
	for _, tag := range pending {
		if written[tag] {
			continue
		}
		if _, err := s.putRoot(ctx, tag); err != nil && !failures.note(tag, err) {
			return err
		} else if err == nil {
			s.noteWritten(tag)
		}
	}
	return failures.err(pending)
}

func (s *shipment) noteWritten(tag string) {
	s.hauler.tagLists.add(s.to, tag)
	s.noteRight(tag)
}

func (s *shipment) noteRight(tag string) {
	if !slices.Contains(s.result.Right, tag) {
		s.result.Right = append(s.result.Right, tag)
	}
}

// putRoot writes the root under a reference, and under more tags where the registry takes
// them with it.
func (s *shipment) putRoot(ctx context.Context, reference string, tags ...string) (registry.Written, error) {
	var root v1.Descriptor
	for _, m := range s.request.Spec.Manifests {
		if m.Digest == s.request.Spec.Root {
			root = m
		}
	}
	written, err := s.to.PutManifest(ctx, reference, string(root.MediaType), root.Data, tags...)
	if err != nil {
		err = s.unlessTagged(ctx, reference, failure(ctx, what("image", root.Digest, root.Size), err))
	}
	if err == nil {
		s.markRoot()
	}
	return written, err
}

// unlessTagged drops an error if the tag points to the root all the same:
// registries with immutable tags refuse to write what is already so.
func (s *shipment) unlessTagged(ctx context.Context, reference string, err error) error {
	if _, ok := asRefusal(err); !ok || tookAnother(err) {
		return err
	}
	if digest, found, lookup := s.to.Head(ctx, reference); lookup == nil && found && digest == s.request.Spec.Root {
		return nil
	}
	return err
}

// tookAnother tells whether a registry took a manifest, and for another than was sent.
func tookAnother(err error) bool {
	answer, ok := errors.AsType[*registry.Error](err)
	return ok && answer.Status >= 200 && answer.Status < 300
}
