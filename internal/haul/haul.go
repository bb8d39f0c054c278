package haul

import (
	"context"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// Haul carries an image to its repository. The error is an [*Error], that of a claim, or
// the context's own.
func (h *Hauler) Haul(ctx context.Context, request Request) (Result, error) {
	s, err := h.ship(request)
	if err != nil {
		return Result{}, err
	}
	s.blobs = s.toCopy()
	if s.claim, err = h.uploads.claim(ctx, s.request.Claims, s.blobs); err != nil {
		return Result{}, err
	}
	err = s.mindLeftAlone(s.runOrCreate(ctx))
	s.claim.release(err == nil)
	return s.told(), err
}

// ship begins a shipment.
func (h *Hauler) ship(request Request) (*shipment, error) {
	s := &shipment{hauler: h, request: request}
	var err error
	s.to, err = h.opts.Registries.Repository(request.Spec.Destination.Registry, request.Repository,
		registry.Caller{Invocation: request.Invocation, Requests: &s.requests})
	if err != nil {
		return nil, &Error{Class: Malformed, Text: err.Error(), Err: err}
	}
	s.at = address{s.to.Registry(), s.to.Name()}
	if s.request.Claims == nil {
		s.request.Claims = alone{}
	}
	return s, nil
}

// shipment is one haul under way.
type shipment struct {
	hauler  *Hauler
	request Request
	to      *registry.Repository
	// at is the address of to.
	at address
	// blobs are those that have to be in the repository before the manifests are, and
	// claim is the claim of them.
	blobs []pushspec.Blob
	claim Claim

	// parts are the spec's manifests.
	parts  []*part
	cached *cacheCheck

	// staged says that the root was brought to the repository before.
	staged bool

	requests atomic.Int64

	mu      sync.Mutex // of result's counts
	result  Result
	counted map[v1.Hash]bool
}

// told is what the shipment did so far.
func (s *shipment) told() Result {
	s.result.Requests = int(s.requests.Load())
	return s.result
}

func (s *shipment) run(ctx context.Context) (err error) {
	// What the cache has evicted is better known now than after the first
	// gigabyte.
	s.cached = s.startCacheCheck(ctx)
	defer s.cached.stop()

	if s.parts, err = parts(s.request.Spec); err != nil {
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
	left, err := s.findGaps(ctx, there)
	if err != nil {
		return err
	}
	s.result.AlreadyThere = left.none() && len(pending) == 0
	err = s.bring(ctx, left, pending)
	if isUnknown(err) && there {
		// What was known from earlier is gone since.
		err = s.anew(ctx, err, pending)
	}
	if isUnknown(err) && s.request.LayersInPlace {
		return &Error{
			Class: Rejected, Err: err,
			Text: s.to.Registry() + " cannot read the layers from the remote cache: it is not a registry in front of this cache, or the cache has evicted them: " + err.Error(),
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
	for _, b := range s.request.Spec.Blobs {
		s.hauler.presence.forget(s.at, b.Digest)
	}
	s.result.Uploaded, s.result.Mounted, s.result.Present = Count{}, Count{}, Count{}
	s.staged = false
	s.counted = nil
}
