package haul

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/drayage/drayage/internal/registry"
	"github.com/drayage/drayage/pushspec"
)

// Haul carries an image to its repository. The error is an [*Error], or the
// context's own.
func (h *Hauler) Haul(ctx context.Context, req Request) (Result, error) {
	var requests atomic.Int64
	repository, err := h.opts.Registries.Repository(req.Spec.Destination.Registry, req.Repository,
		registry.Caller{Invocation: req.Invocation, Requests: &requests})
	if err != nil {
		return Result{}, &Error{Class: Malformed, Text: err.Error(), Err: err}
	}
	j := &job{hauler: h, req: req, to: repository}
	err = j.mindLeftAlone(j.runOrCreate(ctx))
	j.result.Requests = int(requests.Load())
	return j.result, err
}

// job is one haul under way.
type job struct {
	hauler *Hauler
	req    Request
	to     *registry.Repository

	// parts are the spec's manifests.
	parts []*part
	early *early

	mu      sync.Mutex // of result's counts
	result  Result
	counted map[v1.Hash]bool
}

func (j *job) run(ctx context.Context) (err error) {
	// What the cache has evicted is better known now than after the first
	// gigabyte.
	j.early = j.startEarly(ctx)
	defer j.early.stop()

	if j.parts, err = parts(j.req.Spec); err != nil {
		return err
	}
	pending, err := j.lookUpTags(ctx)
	if err != nil {
		return err
	}
	there, err := j.hasRoot(ctx, pending)
	if err != nil {
		return err
	}
	left := j.everything()
	if there {
		if left, err = j.look(ctx); err != nil {
			return err
		}
		j.result.AlreadyThere = left.none() && len(pending) == 0
	}
	err = j.bring(ctx, left, pending)
	if isUnknown(err) && there {
		// What was known from earlier is gone since.
		err = j.anew(ctx, err, pending)
	}
	if isUnknown(err) && j.req.LayersInPlace {
		return &Error{
			Class: Rejected, Err: err,
			Text: j.to.Registry() + " does not take the layers out of the remote cache: it is no registry in front of that cache, or the cache has evicted them: " + err.Error(),
		}
	}
	if isUnknown(err) && !there {
		err = j.anew(ctx, err, pending)
	}
	return err
}

// anew brings all to a registry that has lost what it was known to have, with nothing
// taken for granted.
func (j *job) anew(ctx context.Context, lost error, pending []string) error {
	j.hauler.opts.Logger.Warn().Err(lost).Str("registry", j.to.Registry()).Str("repository", j.to.Name()).
		Msg("registry no longer has what it had; the image is copied anew")
	j.forget()
	return j.bring(ctx, j.everything(), pending)
}

// mindLeftAlone tells of the layers that were not sent where a registry does not take
// a manifest without them. Another try would fail in the same way, although
// distribution answers with 500 where it does not take their urls.
func (j *job) mindLeftAlone(err error) error {
	var failed *Error
	if !isUnknown(err) || !errors.As(err, &failed) {
		return err
	}
	left := j.leavesAlone()
	if len(left) == 0 {
		return err
	}
	return &Error{
		Class: Rejected, Err: failed.Err,
		Text: fmt.Sprintf("%s; the image has layers that are not to be distributed, and that are not sent: %s. Have the registry take them by their urls "+
			"(validation.manifests.urls.allow in distribution's configuration), or take a base without such layers", failed.Text, strings.Join(left, ", ")),
	}
}

// leavesAlone are the layers that are not to be distributed.
func (j *job) leavesAlone() []string {
	var left []string
	for _, blob := range j.req.Spec.Blobs {
		if !pushspec.Distributable(blob.MediaType) {
			left = append(left, blob.Digest.String())
		}
	}
	return left
}

// bring brings what is lacking to the repository, and then the tags to the root.
func (j *job) bring(ctx context.Context, left work, tags []string) error {
	if !left.none() {
		if err := j.copyBlobs(ctx, left); err != nil {
			return err
		}
		if err := j.writeManifests(ctx, left); err != nil {
			return err
		}
		if err := j.listReferrers(ctx, left); err != nil {
			return err
		}
	}
	return j.tagRoot(ctx, tags)
}

// isUnknown tells whether a registry refused a manifest because it lacks what it
// refers to.
func isUnknown(err error) bool {
	_, answer := destinationError(err)
	return answer != nil && answer.Unknown()
}

// destinationError is what the destination's registry answered, or nil where an error is
// about something else.
func destinationError(err error) (*Error, *registry.Error) {
	failed, ok := errors.AsType[*Error](err)
	if !ok || failed.Source {
		return nil, nil
	}
	answer, ok := errors.AsType[*registry.Error](failed)
	if !ok {
		return nil, nil
	}
	return failed, answer
}

func (j *job) forget() {
	for _, p := range j.parts {
		j.hauler.known.forget(j.to.Registry(), j.to.Name(), p.Digest)
		j.hauler.listed.forget(j.to.Registry(), j.to.Name(), p.Digest)
	}
	for _, b := range j.req.Spec.Blobs {
		j.hauler.known.forget(j.to.Registry(), j.to.Name(), b.Digest)
	}
	j.result.Uploaded, j.result.Mounted, j.result.Present = Count{}, Count{}, Count{}
	j.counted = nil
}

// lookUpTags notes what the tags point to, and gives those that do not point to
// the root yet.
func (j *job) lookUpTags(ctx context.Context) (pending []string, err error) {
	j.result.Tags = make([]Tag, len(j.req.Tags))
	right := make([]bool, len(j.req.Tags))
	others := make([]v1.Hash, len(j.req.Tags)) // what else they point to
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(j.hauler.opts.BlobsAtOnce)
	for i, tag := range j.req.Tags {
		j.result.Tags[i].Name = tag
		g.Go(func() error {
			// A list that is a few seconds old is no leave to write.
			if !j.keeps(tag) && j.hauler.tagged.lacks(gctx, j.to, tag) {
				return nil
			}
			look := j.to.Head
			if j.keeps(tag) {
				look = j.digestOf
			}
			digest, found, err := look(gctx, tag)
			if err != nil {
				return failure(ctx, fmt.Sprintf("tag %s", tag), err)
			}
			j.hauler.tagged.looked(j.to, found)
			if found && digest != (v1.Hash{}) {
				j.result.Tags[i].Previous = digest.String()
			}
			right[i] = found && digest == j.req.Spec.Root
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
	for i, tag := range j.req.Tags {
		if right[i] {
			continue
		}
		pending = append(pending, tag)
		if j.keeps(tag) && others[i] != (v1.Hash{}) {
			taken[tag] = others[i]
		}
	}
	if err := taken.err(j.req.Spec.Root, ""); err != nil {
		return nil, err
	}
	if len(pending) < len(j.req.Tags) {
		j.markRoot()
	}
	return pending, nil
}

// hasRoot tells whether the repository has the root manifest, if the tags have not told.
func (j *job) hasRoot(ctx context.Context, pending []string) (bool, error) {
	root := j.req.Spec.Root
	if len(pending) < len(j.req.Tags) || j.isThere(root) {
		return true, nil
	}
	if len(j.req.Tags) > 0 {
		// A new tag seldom comes with an old image. Its smallest blob, which needs a
		// request anyway, tells whether it may be so.
		there, asked, err := j.probe(ctx)
		if err != nil || asked && !there {
			return false, err
		}
	}
	_, found, err := j.to.Head(ctx, root.String())
	if err != nil {
		return false, failure(ctx, "image "+root.String(), err)
	}
	if found {
		j.markRoot()
	}
	return found, nil
}

func (j *job) markRoot() { j.markThere(j.req.Spec.Root) }
