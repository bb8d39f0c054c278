package haul

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/drayage/drayage/pushspec"
)

// ErrGone is in the error of a [Hauler.Retag] to an image that its repository no longer
// has: registries remove images that have no tag.
var ErrGone = errors.New("the registry no longer has the image")

// Retag is an image that is in its repository by its digest, and the tags that are to
// point to it.
type Retag struct {
	Registry, Repository string
	// Root is the image's manifest or index. Without its data it is read from the
	// registry.
	Root v1.Descriptor
	// Tags, KeepTags, ReadBack, Invocation and Claims are as in a [Request].
	Tags, KeepTags, ReadBack []string
	Invocation               string
	Claims                   Claims
}

// Retag writes tags of an image that was staged. The error is as that of [Hauler.Haul].
func (h *Hauler) Retag(ctx context.Context, retag Retag) (Result, error) {
	s, err := h.ship(Request{
		Spec: &pushspec.Spec{
			Destination: pushspec.Destination{Registry: retag.Registry},
			Root:        retag.Root.Digest, Manifests: []v1.Descriptor{retag.Root},
		},
		Repository: retag.Repository, Tags: retag.Tags, KeepTags: retag.KeepTags, ReadBack: retag.ReadBack,
		Invocation: retag.Invocation, Claims: retag.Claims,
	})
	if err != nil {
		return Result{}, err
	}
	s.staged = true
	err = s.retag(ctx)
	if isUnknown(err) || isAbsent(err) {
		s.forget()
		err = s.imageGone(err)
	}
	return s.told(), err
}

func (s *shipment) retag(ctx context.Context) error {
	pending, err := s.lookUpTags(ctx)
	if err != nil {
		return err
	}
	s.result.AlreadyThere = len(pending) == 0
	if len(pending) > 0 {
		if err := s.readRoot(ctx); err != nil {
			return err
		}
	}
	return s.tagRoot(ctx, pending)
}

// readRoot reads the root from the registry, if it is not at hand.
func (s *shipment) readRoot(ctx context.Context) error {
	root := &s.request.Spec.Manifests[0]
	if len(root.Data) > 0 {
		return nil
	}
	data, mediaType, found, err := s.to.Manifest(ctx, root.Digest.String(), maxManifest)
	if err != nil {
		return failure(ctx, "image "+root.Digest.String(), err)
	}
	if !found {
		return s.imageGone(nil)
	}
	root.Data, root.MediaType, root.Size = data, types.MediaType(mediaType), int64(len(data))
	return nil
}

func (s *shipment) imageGone(err error) error {
	s.hauler.presence.forget(s.at, s.request.Spec.Root)
	text := fmt.Sprintf("%s no longer has image %s, which was brought there before", s.to, s.request.Spec.Root)
	if err != nil {
		text += ": " + err.Error()
	}
	return &Error{Class: Unavailable, Text: text, Err: errors.Join(ErrGone, err)}
}
