package haul

import (
	"context"
)

// writeManifests writes what is lacking, the leaves first. A root that is the last of
// it is left for its tags.
func (s *shipment) writeManifests(ctx context.Context, left gaps) error {
	for i, p := range s.parts {
		if !left.write[p.Digest] {
			continue
		}
		// What comes after the root refers to it: it has to be there, but not yet under
		// its tags.
		if p.Digest == s.request.Spec.Root && i == len(s.parts)-1 && !p.isReferrer() {
			continue
		}
		if err := s.writeManifest(ctx, p, left); err != nil {
			return err
		}
	}
	return nil
}

func (s *shipment) writeManifest(ctx context.Context, p *part, left gaps) error {
	if p.Digest != s.request.Spec.Root && s.isThere(p.Digest) && !left.kept[p.Digest] {
		return nil
	}
	written, err := s.to.PutManifest(ctx, p.Digest.String(), string(p.MediaType), p.Data)
	if err != nil {
		return failure(ctx, what("manifest", p.Digest, p.Size), err)
	}
	s.markThere(p.Digest)
	if p.isReferrer() && (written.Subject || left.kept[p.Digest]) {
		s.markListed(p)
	}
	return nil
}
