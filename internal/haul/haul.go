package haul

import (
	"context"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/registry"
)

// Haul carries an image to its repository. The error is an [*Error], that of a claim, or
// the context's own.
func (h *Hauler) Haul(ctx context.Context, req Request) (Result, error) {
	var requests atomic.Int64
	repository, err := h.opts.Registries.Repository(req.Spec.Destination.Registry, req.Repository,
		registry.Caller{Invocation: req.Invocation, Requests: &requests})
	if err != nil {
		return Result{}, &Error{Class: Malformed, Text: err.Error(), Err: err}
	}
	if req.Claims == nil {
		req.Claims = alone{}
	}
	s := &shipment{hauler: h, req: req, to: repository, at: address{repository.Registry(), repository.Name()}}
	if s.claim, err = h.uploads.claim(ctx, req.Claims, s.toCopy()); err != nil {
		return Result{}, err
	}
	err = s.mindLeftAlone(s.runOrCreate(ctx))
	s.claim.release(err == nil)
	s.result.Requests = int(requests.Load())
	return s.result, err
}

// shipment is one haul under way.
type shipment struct {
	hauler *Hauler
	req    Request
	to     *registry.Repository
	// at is the address of to.
	at address
	// claim is that of the blobs.
	claim Claim

	// parts are the spec's manifests.
	parts  []*part
	cached *cacheCheck

	mu      sync.Mutex // of result's counts
	result  Result
	counted map[v1.Hash]bool
}

func (s *shipment) run(ctx context.Context) (err error) {
	// What the cache has evicted is better known now than after the first
	// gigabyte.
	s.cached = s.startCacheCheck(ctx)
	defer s.cached.stop()

	if s.parts, err = parts(s.req.Spec); err != nil {
		return err
	}
	pending, err := s.lookUpTags(ctx)
	if err != nil {
		return err
	}
	there, err := s.hasRoot(ctx, pending)
	if err != nil {
		return err
	}
	left := s.everything()
	if there {
		if left, err = s.look(ctx); err != nil {
			return err
		}
		s.result.AlreadyThere = left.none() && len(pending) == 0
	}
	err = s.bring(ctx, left, pending)
	if isUnknown(err) && there {
		// What was known from earlier is gone since.
		err = s.anew(ctx, err, pending)
	}
	if isUnknown(err) && s.req.LayersInPlace {
		return &Error{
			Class: Rejected, Err: err,
			Text: s.to.Registry() + " does not take the layers out of the remote cache: it is no registry in front of that cache, or the cache has evicted them: " + err.Error(),
		}
	}
	if isUnknown(err) && !there {
		err = s.anew(ctx, err, pending)
	}
	return err
}

// anew brings all to a registry that has lost what it was known to have, with nothing
// taken for granted.
func (s *shipment) anew(ctx context.Context, lost error, pending []string) error {
	s.hauler.opts.Logger.Warn().Err(lost).Str("registry", s.to.Registry()).Str("repository", s.to.Name()).
		Msg("registry no longer has what it had; the image is copied anew")
	s.forget()
	return s.bring(ctx, s.everything(), pending)
}

// bring brings what is lacking to the repository, and then the tags to the root.
func (s *shipment) bring(ctx context.Context, left gaps, pending []string) error {
	if !left.none() {
		if err := s.copyBlobs(ctx, left); err != nil {
			return err
		}
		if err := s.writeManifests(ctx, left); err != nil {
			return err
		}
		if err := s.listReferrers(ctx, left); err != nil {
			return err
		}
	}
	return s.tagRoot(ctx, pending)
}

func (s *shipment) forget() {
	for _, p := range s.parts {
		s.hauler.presence.forget(s.at, p.Digest)
		s.hauler.listed.forget(s.at, p.Digest)
	}
	for _, b := range s.req.Spec.Blobs {
		s.hauler.presence.forget(s.at, b.Digest)
	}
	s.result.Uploaded, s.result.Mounted, s.result.Present = Count{}, Count{}, Count{}
	s.counted = nil
}
