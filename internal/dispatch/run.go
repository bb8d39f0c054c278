package dispatch

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/hosts"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// run is one run of a job: what has become known of it so far, and the row in the making.
type run struct {
	worker     *Worker
	logger     zerolog.Logger
	job        store.Job
	attempt    store.Attempt
	invocation store.Invocation

	// spec is what is read, and destination its destination with the variables filled in.
	spec        *pushspec.Spec
	destination pushspec.Destination
	// held is for how many bytes of a spec the run has been given room.
	held int64
	// asked is what the policy was asked, and keepTags are the tags that must not be
	// written over.
	asked    admission.Push
	keepTags []string
	// gate is what the tags wait for, and readBack are those that are looked up after they
	// were written.
	gate     pushspec.Gate
	readBack []string
	// floor is the policy's gate.
	floor pushspec.Gate
	// release is what was decided on the tags, for a job that tags or restores.
	release store.Release
	// stay is among the hauls that go to the same registry.
	stay *stay
	// releaseUploaded, if set, ends the claim of the blobs.
	releaseUploaded func(written bool)
	// tags is what was granted when the tags were claimed.
	tags store.TagGrant

	entry ledger.Entry
}

// begin looks up what is known beforehand.
func (w *Worker) begin(ctx context.Context, job store.Job, attempt store.Attempt) (*run, error) {
	invocation, _, err := w.opts.Invocations.Invocation(ctx, job.Invocation)
	if err != nil {
		return nil, fmt.Errorf("look up invocation %s: %w", job.Invocation, err)
	}
	if invocation.Started.IsZero() {
		invocation.Started = job.Started
	}
	r := &run{
		worker: w, job: job, attempt: attempt, invocation: invocation,
		logger: w.opts.Logger.With().Str("invocation", job.Invocation).Str("target", job.Target).Logger(),
	}
	r.beginEntry()
	return r, nil
}

// do does what the job asks for, and notes in the entry all that it learns.
func (r *run) do(ctx context.Context) error {
	switch r.job.Action {
	case store.ActionTag:
		return r.tag(ctx)
	case store.ActionRestore:
		return r.restore(ctx)
	}
	return r.push(ctx)
}

// push reads the spec and hauls what it says.
func (r *run) push(ctx context.Context) error {
	if err := r.readSpec(ctx); err != nil {
		return err
	}
	r.noteSpec()
	if err := r.stamp(); err != nil {
		return err
	}
	r.noteDestination()
	if err := r.admit(); err != nil {
		return err
	}
	if err := r.chooseGate(); err != nil {
		return err
	}
	return r.inShare(ctx, func(ctx context.Context) error { return r.haul(ctx) })
}

// inShare does what keeps the registry busy, with one of the registry's share of the
// workers.
func (r *run) inShare(ctx context.Context, work func(context.Context) error) error {
	ctx, leave, err := r.worker.opts.Hosts.Enter(ctx, r.host())
	if err != nil {
		return err
	}
	defer leave()
	shares := r.worker.shares
	if r.job.Action != store.ActionPush {
		shares = r.worker.tagShares
	}
	working, stay, ok := shares.enter(ctx, r.host())
	if !ok {
		return &store.PostponeError{After: pause()}
	}
	r.stay = stay
	err = work(working)
	madeRoom := errors.Is(context.Cause(working), errMakeRoom)
	stay.leave(err == nil || isAnswer(err))
	if err != nil && madeRoom {
		return &store.PostponeError{After: pause()}
	}
	if closed := hosts.Closed(working, r.host(), err); closed != nil {
		return closed
	}
	return err
}

// haul hauls what the spec says to its destination.
func (r *run) haul(ctx context.Context) error {
	request := haul.Request{
		Spec:       r.spec,
		Repository: r.destination.Repository,
		Tags:       r.destination.Tags,
		KeepTags:   r.keepTags,
		ReadBack:   r.readBack,
		Copied:     r.isCopy(),
		Instance:   r.job.Spec.Instance,
		Invocation: r.job.Invocation,
		Claims:     r,
		Client:     r.job.Client,
		MayMount:   r.mayMount,
		Waits:      func(host string) func(bool) { return r.stay.visit(r.host(), host) },
	}
	if r.gate.Holds() {
		if err := r.askStaged(ctx, &request); err != nil {
			return err
		}
	}
	result, err := r.worker.opts.Hauler.Haul(ctx, request)
	r.noteCounts(result)
	switch {
	case err != nil:
		r.noteSome(result)
		return nameMissing(r.spec, err)
	case request.Stage:
		r.noteStaged()
		return nil
	}
	r.noteOutcome(result)
	return r.conflict()
}

// isAnswer tells whether a haul that failed shows that its registry is at work: it has
// ended for good, or at where its bytes come from.
func isAnswer(err error) bool {
	if _, ok := errors.AsType[*conflictError](err); ok {
		return true
	}
	failed, ok := errors.AsType[*haul.Error](err)
	return ok && (failed.Class.Final() || failed.Source)
}

// host is the canonical name of the destination's registry: what is counted, paced and
// claimed by registry goes by it.
func (r *run) host() string {
	host, _ := r.destination.Address()
	return host
}
