package haul

import (
	"context"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// readBack looks up tags that were written, where that is asked for. Those that must not
// be written over were looked up before.
func (s *shipment) readBack(ctx context.Context, written []string) error {
	for _, tag := range written {
		if !slices.Contains(s.request.ReadBack, tag) || s.keeps(tag) {
			continue
		}
		digest, found, err := s.digestOf(ctx, tag)
		switch {
		case err != nil:
			return failure(ctx, "tag "+tag, err)
		case !found:
			return &Error{Class: Unavailable, Text: fmt.Sprintf("the registry accepted tag %s and does not have it", tag)}
		case digest != s.request.Spec.Root:
			return s.readAnother(tag, digest)
		}
	}
	return nil
}

// readAnother is about a tag of which the registry shows another image than it took: it
// may show an old one for a while, or somebody else has written the tag.
func (s *shipment) readAnother(tag string, digest v1.Hash) error {
	s.result.Right = slices.DeleteFunc(s.result.Right, func(right string) bool { return right == tag })
	return &Error{Class: Unavailable, Text: fmt.Sprintf("tag %s was written for %s and points to %s when it is read back: "+
		"somebody else writes this tag, or the registry serves an old answer", tag, s.request.Spec.Root, digest)}
}
