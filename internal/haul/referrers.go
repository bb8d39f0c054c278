package haul

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// listTries is how often the index of a subject's referrers is written, if others
	// write it at the same time.
	listTries = 6
	// listPause is waited for before an index is read again that was written more than
	// once, and longer each time after.
	listPause = 100 * time.Millisecond
)

// listReferrers sees to it that all referrers are listed with their subjects, in a
// registry that keeps no list itself (distribution spec, "Pushing Manifests with
// Subject"). All of one subject go into its index at once: where tags cannot be
// changed there is no second time.
func (s *shipment) listReferrers(ctx context.Context, left gaps) error {
	var subjects []v1.Hash
	bySubject := map[v1.Hash][]*part{}
	for _, p := range s.parts {
		if !left.list[p.Digest] || s.isListed(p) {
			continue
		}
		if bySubject[p.subject] == nil {
			subjects = append(subjects, p.subject)
		}
		bySubject[p.subject] = append(bySubject[p.subject], p)
	}
	for _, subject := range subjects {
		if err := s.listWith(ctx, subject, bySubject[subject]); err != nil {
			return err
		}
	}
	return nil
}

func (s *shipment) listWith(ctx context.Context, subject v1.Hash, ours []*part) error {
	release, err := s.claimReferrers(ctx, subject)
	if err != nil {
		return fmt.Errorf("wait for the referrers of %s: %w", subject, err)
	}
	defer release()
	// There is no way to write an index only if nobody else has. So it is looked at
	// afterwards: who came between has taken our entries out, not knowing of them.
	var refused error
	for try := 0; ; try++ {
		if try > 1 {
			pause := min(listPause<<try, 4*time.Second)
			if err := s.hauler.opts.Wait(ctx, pause/2+rand.N(pause/2)); err != nil {
				return fmt.Errorf("referrers of %s: %w", subject, err)
			}
		}
		index, err := s.readFallback(ctx, subject)
		if err != nil {
			return err
		}
		missing, err := index.addAll(ours)
		switch {
		case err != nil:
			return err
		case !missing:
			for _, p := range ours {
				s.markListed(p)
			}
			return nil
		case refused != nil:
			return refused
		case try == listTries:
			return &Error{Class: Unavailable, Text: fmt.Sprintf("referrers of %s: the index under the tag %s was written %d times and still does not list all of them: "+
				"others write it at the same time, or the registry serves an old one", subject, fallbackTag(subject), try)}
		}
		err = s.writeFallback(ctx, subject, index, ours)
		if _, refusal := asRefusal(err); err != nil && (isUnknown(err) || !refusal) {
			return err
		}
		// A refusal may be right all the same: where tags cannot be changed another has
		// written this one.
		refused = err
	}
}

// claimReferrers keeps the index of a subject's referrers from being written by two at the
// same time: of this process's hauls, and then of all processes.
func (s *shipment) claimReferrers(ctx context.Context, subject v1.Hash) (release func(), err error) {
	unlock, err := s.hauler.referrerLocks.lock(ctx, digestAt{s.at, subject})
	if err != nil {
		return nil, err
	}
	claim, err := s.request.Claims.ClaimReferrers(ctx, subject)
	if err != nil {
		unlock()
		return nil, err
	}
	return func() {
		claim.release(true)
		unlock()
	}, nil
}
