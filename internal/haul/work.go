package haul

import (
	"context"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
)

// work is what a repository lacks of a spec.
type work struct {
	// write are the manifests that are not there, and list the referrers that are not
	// listed with their subjects. Those that are kept need only be written: the
	// registry lists them itself.
	write, list, kept map[v1.Hash]bool
}

func newWork() work {
	return work{write: map[v1.Hash]bool{}, list: map[v1.Hash]bool{}, kept: map[v1.Hash]bool{}}
}

func (w work) none() bool { return len(w.write) == 0 && len(w.list) == 0 }

// everything is the work of an image of which nothing is there.
func (j *job) everything() work {
	w := newWork()
	for _, p := range j.parts {
		w.write[p.Digest] = true
		if p.isReferrer() {
			w.list[p.Digest] = true
		}
	}
	return w
}

// look finds out what is left to do for an image whose root is there. A root that is
// there says nothing of what refers to it, and little of what it refers to: registries
// and their cleaners lose one without the other. What this process has seen itself a
// short while ago is not asked for again.
func (j *job) look(ctx context.Context) (work, error) {
	left := newWork()
	var mu sync.Mutex
	note := func(list map[v1.Hash]bool, p *part) {
		mu.Lock()
		defer mu.Unlock()
		list[p.Digest] = true
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(j.hauler.opts.BlobsAtOnce)
	bySubject := map[v1.Hash][]*part{}
	for _, p := range j.parts {
		switch {
		case p.isReferrer() && (!j.isListed(p) || !j.isThere(p.Digest)):
			bySubject[p.subject] = append(bySubject[p.subject], p)
		case p.isReferrer() || p.Digest == j.req.Spec.Root || j.isThere(p.Digest):
		default:
			g.Go(func() error {
				there, err := j.headManifest(gctx, p)
				if !there {
					note(left.write, p)
				}
				return err
			})
		}
	}
	for subject, referrers := range bySubject {
		g.Go(func() error { return j.lookForReferrers(gctx, subject, referrers, left, note) })
	}
	if err := g.Wait(); err != nil {
		return work{}, failure(ctx, "image "+j.req.Spec.Root.String(), err)
	}
	return left, nil
}

// lookForReferrers notes which referrers of one subject have to be written, or listed.
func (j *job) lookForReferrers(ctx context.Context, subject v1.Hash, referrers []*part, left work, note func(map[v1.Hash]bool, *part)) error {
	listed, kept, err := j.to.Referrers(ctx, subject)
	if err != nil {
		return failure(ctx, "referrers of "+subject.String(), err)
	}
	if kept {
		for _, p := range referrers {
			if slices.Contains(listed, p.Digest) {
				j.markThere(p.Digest)
				j.markListed(p)
				continue
			}
			// The registry makes the list out of what is written.
			note(left.write, p)
			note(left.kept, p)
		}
		return nil
	}
	for _, p := range referrers {
		there := j.isThere(p.Digest)
		if !there {
			if there, err = j.headManifest(ctx, p); err != nil {
				return err
			}
		}
		if !there {
			note(left.write, p)
		}
	}
	index, err := j.readFallback(ctx, subject)
	if err != nil {
		return err
	}
	for _, p := range referrers {
		if !index.lists(p.Digest) {
			note(left.list, p)
		} else if j.isThere(p.Digest) {
			j.markListed(p)
		}
	}
	return nil
}

// headManifest asks whether the repository has a manifest.
func (j *job) headManifest(ctx context.Context, p *part) (bool, error) {
	_, found, err := j.to.Head(ctx, p.Digest.String())
	if err != nil {
		return false, failure(ctx, what("manifest", p.Digest, p.Size), err)
	}
	if found {
		j.markThere(p.Digest)
	}
	return found, nil
}

func (j *job) isThere(digest v1.Hash) bool {
	return j.hauler.known.has(j.to.Registry(), j.to.Name(), digest)
}

func (j *job) markThere(digest v1.Hash) { j.hauler.known.add(j.to.Registry(), j.to.Name(), digest) }

// isListed tells whether a referrer is known to be listed with its subject, of which
// it has but one.
func (j *job) isListed(p *part) bool {
	return j.hauler.listed.has(j.to.Registry(), j.to.Name(), p.Digest)
}

func (j *job) markListed(p *part) { j.hauler.listed.add(j.to.Registry(), j.to.Name(), p.Digest) }
