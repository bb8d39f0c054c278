package haul

import (
	"context"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// gaps are what a repository lacks of a spec.
type gaps struct {
	// write are the manifests that are not there, and list the referrers that are not
	// listed with their subjects. Those that are kept need only be written: the
	// registry lists them itself.
	write, list, kept map[v1.Hash]bool
}

func newGaps() gaps {
	return gaps{write: map[v1.Hash]bool{}, list: map[v1.Hash]bool{}, kept: map[v1.Hash]bool{}}
}

func (g gaps) none() bool { return len(g.write) == 0 && len(g.list) == 0 }

// findGaps finds out what the repository lacks. Where the root is not there it is taken to
// lack everything.
func (s *shipment) findGaps(ctx context.Context, there bool) (gaps, error) {
	if !there {
		return s.everything(), nil
	}
	return s.look(ctx)
}

// everything are the gaps of an image of which nothing is there.
func (s *shipment) everything() gaps {
	left := newGaps()
	for _, p := range s.parts {
		left.write[p.Digest] = true
		if p.isReferrer() {
			left.list[p.Digest] = true
		}
	}
	return left
}

// look finds out what is left to do for an image whose root is there. A root that is
// there says nothing of what refers to it, and little of what it refers to: registries
// and their cleaners lose one without the other. What this process has seen itself a
// short while ago is not asked for again.
func (s *shipment) look(ctx context.Context) (gaps, error) {
	left := newGaps()
	var mu sync.Mutex
	note := func(list map[v1.Hash]bool, p *part) {
		mu.Lock()
		defer mu.Unlock()
		list[p.Digest] = true
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.hauler.opts.BlobsAtOnce)
	bySubject := map[v1.Hash][]*part{}
	for _, p := range s.parts {
		switch {
		case p.isReferrer() && (!s.isListed(p) || !s.isThere(p.Digest)):
			bySubject[p.subject] = append(bySubject[p.subject], p)
		case p.isReferrer() || p.Digest == s.request.Spec.Root || s.isThere(p.Digest):
		default:
			g.Go(func() error {
				there, err := s.headManifest(gctx, p)
				if !there {
					note(left.write, p)
				}
				return err
			})
		}
	}
	for subject, referrers := range bySubject {
		g.Go(func() error { return s.lookForReferrers(gctx, subject, referrers, left, note) })
	}
	if err := g.Wait(); err != nil {
		return gaps{}, failure(ctx, "image "+s.request.Spec.Root.String(), err)
	}
	return left, nil
}

// lookForReferrers notes which referrers of one subject have to be written, or listed.
func (s *shipment) lookForReferrers(ctx context.Context, subject v1.Hash, referrers []*part, left gaps, note func(map[v1.Hash]bool, *part)) error {
	listed, kept, err := s.to.Referrers(ctx, subject)
	if err != nil {
		return failure(ctx, "referrers of "+subject.String(), err)
	}
	if kept {
		for _, p := range referrers {
			if slices.Contains(listed, p.Digest) {
				s.markThere(p.Digest)
				s.markListed(p)
				continue
			}
			// The registry makes the list out of what is written.
			note(left.write, p)
			note(left.kept, p)
		}
		return nil
	}
	for _, p := range referrers {
		there := s.isThere(p.Digest)
		if !there {
			if there, err = s.headManifest(ctx, p); err != nil {
				return err
			}
		}
		if !there {
			note(left.write, p)
		}
	}
	index, err := s.readFallback(ctx, subject)
	if err != nil {
		return err
	}
	for _, p := range referrers {
		if !index.lists(p.Digest) {
			note(left.list, p)
		} else if s.isThere(p.Digest) {
			s.markListed(p)
		}
	}
	return nil
}

// headManifest asks whether the repository has a manifest.
func (s *shipment) headManifest(ctx context.Context, p *part) (bool, error) {
	_, found, err := s.to.Head(ctx, p.Digest.String())
	if err != nil {
		return false, failure(ctx, what("manifest", p.Digest, p.Size), err)
	}
	if found {
		s.markThere(p.Digest)
	}
	return found, nil
}

func (s *shipment) isThere(digest v1.Hash) bool {
	return s.hauler.presence.has(s.at, digest)
}

func (s *shipment) markThere(digest v1.Hash) { s.hauler.presence.add(s.at, digest, s.request.Client) }

// isListed tells whether a referrer is known to be listed with its subject, of which
// it has but one.
func (s *shipment) isListed(p *part) bool {
	return s.hauler.listed.has(s.at, p.Digest)
}

func (s *shipment) markListed(p *part) { s.hauler.listed.add(s.at, p.Digest, s.request.Client) }
