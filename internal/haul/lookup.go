package haul

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// lookUpTags notes what the tags point to, and gives those that do not point to
// the root yet.
func (s *shipment) lookUpTags(ctx context.Context) (pending []string, err error) {
	if s.request.Stage {
		return nil, s.lookUpStaged(ctx)
	}
	s.result.Tags, s.result.Right = make([]Tag, len(s.request.Tags)), nil
	right := make([]bool, len(s.request.Tags))
	others := make([]v1.Hash, len(s.request.Tags)) // what else they point to
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.hauler.opts.BlobsAtOnce)
	for i, tag := range s.request.Tags {
		s.result.Tags[i].Name = tag
		g.Go(func() error {
			// A list that is a few seconds old is no leave to write.
			if !s.keeps(tag) && s.hauler.tagLists.lacks(gctx, s.to, tag) {
				return nil
			}
			look := s.to.Head
			if s.keeps(tag) {
				look = s.digestOf
			}
			digest, found, err := look(gctx, tag)
			if err != nil {
				return failure(ctx, fmt.Sprintf("tag %s", tag), err)
			}
			s.hauler.tagLists.looked(s.to, found)
			if found && digest != (v1.Hash{}) {
				s.result.Tags[i].Previous = digest.String()
			}
			right[i] = found && digest == s.request.Spec.Root
			if found && !right[i] {
				others[i] = digest
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	taken := takenTags{}
	for i, tag := range s.request.Tags {
		if right[i] {
			s.noteRight(tag)
			continue
		}
		pending = append(pending, tag)
		if s.keeps(tag) && others[i] != (v1.Hash{}) {
			taken[tag] = others[i]
		}
	}
	if err := taken.err(s.request.Spec.Root, ""); err != nil {
		return nil, err
	}
	if len(pending) < len(s.request.Tags) {
		s.markRoot()
	}
	return pending, nil
}

// lookUpStaged looks at the tags that must not be written over. It is early to refuse, and
// not late: they are looked at again when they are written.
func (s *shipment) lookUpStaged(ctx context.Context) error {
	right, taken, err := s.lookUpKept(ctx, s.request.Tags)
	if err != nil {
		return err
	}
	if len(right) > 0 {
		s.markRoot()
	}
	return taken.err(s.request.Spec.Root, "")
}

// hasRoot tells whether the repository has the root manifest, if the tags have not told.
func (s *shipment) hasRoot(ctx context.Context, pending []string) (bool, error) {
	root := s.request.Spec.Root
	if len(pending) < len(s.result.Tags) || s.isThere(root) {
		return true, nil
	}
	if len(s.request.Tags) > 0 && (!s.request.Stage || !s.request.Known) {
		// A new tag seldom comes with an old image. Its smallest blob, which needs a
		// request anyway, tells whether it may be so.
		there, asked, err := s.probe(ctx)
		if err != nil || asked && !there {
			return false, err
		}
	}
	_, found, err := s.to.Head(ctx, root.String())
	if err != nil {
		return false, failure(ctx, "image "+root.String(), err)
	}
	if found {
		s.markRoot()
	}
	return found, nil
}

func (s *shipment) markRoot() { s.markThere(s.request.Spec.Root) }
