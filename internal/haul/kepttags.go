package haul

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxManifest bounds a manifest that is read to know its digest, in bytes.
const maxManifest = 4 << 20

// keeps tells whether a tag must not be written over.
func (s *shipment) keeps(tag string) bool { return slices.Contains(s.request.KeepTags, tag) }

// takenTags are tags that point to another image and must not be written over, with the
// digests that they point to.
type takenTags map[string]v1.Hash

// err is nil where there are none. what says how it came about.
func (t takenTags) err(root v1.Hash, what string) error {
	if len(t) == 0 {
		return nil
	}
	var texts []string
	for tag, digest := range t {
		texts = append(texts, fmt.Sprintf("tag %s points to %s", tag, digest))
	}
	slices.Sort(texts)
	return &Error{Class: Taken, Text: fmt.Sprintf("%s%s; the tag must not be overwritten, and this image is %s. "+
		"Push this image under another tag, or remove the tag from the registry first", strings.Join(texts, ", "), what, root)}
}

// lookUpKept finds out which of the tags are taken. Those that point to the root already
// are right.
func (s *shipment) lookUpKept(ctx context.Context, tags []string) (right []string, taken takenTags, err error) {
	taken = takenTags{}
	for _, tag := range tags {
		if !s.keeps(tag) {
			continue
		}
		digest, found, err := s.digestOf(ctx, tag)
		switch {
		case err != nil:
			return nil, nil, failure(ctx, "tag "+tag, err)
		case !found:
		case digest == s.request.Spec.Root:
			right = append(right, tag)
		default:
			taken[tag] = digest
		}
	}
	return right, taken, nil
}

// digestOf is what a tag points to. It reads the manifest where the registry does not say.
func (s *shipment) digestOf(ctx context.Context, tag string) (digest v1.Hash, found bool, err error) {
	digest, found, err = s.to.Head(ctx, tag)
	if err != nil || !found || digest != (v1.Hash{}) {
		return digest, found, err
	}
	data, _, found, err := s.to.Manifest(ctx, tag, maxManifest)
	if err != nil || !found {
		return v1.Hash{}, false, err
	}
	digest, _, err = v1.SHA256(strings.NewReader(string(data)))
	return digest, true, err
}

// checkFree is asked right before tags are written. It gives those that are still to be
// written: another may have come meanwhile.
func (s *shipment) checkFree(ctx context.Context, pending []string) (left []string, err error) {
	right, taken, err := s.lookUpKept(ctx, pending)
	if err == nil {
		err = taken.err(s.request.Spec.Root, " since this push began")
	}
	if err != nil {
		return nil, err
	}
	for _, tag := range right {
		s.noteRight(tag)
	}
	return slices.DeleteFunc(slices.Clone(pending), func(tag string) bool { return slices.Contains(right, tag) }), nil
}

// checkOurs looks at tags that were written: who came between two of our requests had
// the last word.
func (s *shipment) checkOurs(ctx context.Context, pending []string) error {
	right, taken, err := s.lookUpKept(ctx, pending)
	if err != nil {
		return err
	}
	if err := taken.err(s.request.Spec.Root, ", which another has written at the same time"); err != nil {
		return err
	}
	for _, tag := range pending {
		if s.keeps(tag) && !slices.Contains(right, tag) {
			return &Error{Class: Unavailable, Text: fmt.Sprintf("the registry accepted tag %s and does not have it", tag)}
		}
	}
	return nil
}
