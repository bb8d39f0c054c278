package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/copies"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// SpecReader reads a push spec's file from the remote cache.
type SpecReader interface {
	ReadAll(ctx context.Context, blob cas.Blob) ([]byte, error)
}

// Hauler carries one image from the remote cache to a registry.
type Hauler interface {
	Haul(ctx context.Context, request haul.Request) (haul.Result, error)
	// LastProgress is when things last went on with a registry.
	LastProgress(registry string) time.Time
}

// Invocations is where a [Worker] looks up what the stream said of its
// invocation.
type Invocations interface {
	Invocation(ctx context.Context, id string) (store.Invocation, bool, error)
}

// Policy says what may be pushed. [admission.Admission] is one.
type Policy interface {
	Admit(push admission.Push) (admission.Terms, error)
}

// WorkerOptions are what a [Worker] works with.
type WorkerOptions struct {
	Specs       SpecReader
	Hauler      Hauler
	Invocations Invocations
	Tags        Tags
	Blobs       Blobs
	Policy      Policy
	// Cache is the address of the remote cache, for messages.
	Cache string
	// Workers is how many jobs are worked at at the same time.
	Workers int
	// Version is the daemon's, for the ledger.
	Version string
	// Now is the clock. Defaults to time.Now.
	Now    func() time.Time
	Logger zerolog.Logger
}

// Worker does jobs. It implements [store.Worker].
type Worker struct {
	specs       SpecReader
	hauler      Hauler
	invocations Invocations
	tags        Tags
	blobs       Blobs
	policy      Policy
	lanes       *lanes
	cache       string
	version     string
	now         func() time.Time
	logger      zerolog.Logger
}

// NewWorker makes a worker.
func NewWorker(options WorkerOptions) *Worker {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Worker{
		specs:       options.Specs,
		hauler:      options.Hauler,
		invocations: options.Invocations,
		tags:        options.Tags,
		blobs:       options.Blobs,
		policy:      options.Policy,
		lanes:       newLanes(options.Workers, options.Hauler.LastProgress),
		cache:       options.Cache,
		version:     options.Version,
		now:         options.Now,
		logger:      options.Logger,
	}
}

// Work implements [store.Worker]: it returns what the ledger is to hold, or the
// error after which the job is tried again.
func (w *Worker) Work(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	started := w.now()
	logger := w.logger.With().Str("invocation", job.Invocation).Str("target", job.Target).Logger()

	invocation, _, err := w.invocations.Invocation(ctx, job.Invocation)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("look up invocation %s: %w", job.Invocation, err)
	}
	entry := w.entry(job, invocation)
	entry.Attempts = attempt.Number

	err = w.push(ctx, job, attempt, invocation, &entry)
	entry.Time = w.now()
	entry.Duration = entry.Time.Sub(started)
	if err == nil {
		w.succeeded(logger, entry)
		return entry, nil
	}
	// A stop of the daemon is nobody's failure: the job goes on at the next start.
	if ctx.Err() != nil {
		return ledger.Entry{}, ctx.Err()
	}
	var postponed *store.PostponeError
	if errors.As(err, &postponed) || errors.Is(err, store.ErrLost) {
		return ledger.Entry{}, err
	}
	failure := classify(err)
	if !failure.over(attempt) {
		logger.Warn().Err(err).Str("class", failure.class).Int("attempt", attempt.Number).Dur("after", failure.after).Msg("push failed; it is tried again")
		return ledger.Entry{}, &store.RetryError{After: failure.after, Err: err}
	}
	entry.Outcome = failure.outcome
	entry.ErrorClass = failure.class
	entry.Error = explain(w.absence(ctx, job, invocation), entry, err)
	logger.Error().Str("class", failure.class).Int("attempts", attempt.Number).Msg(entry.Error)
	return entry, nil
}

// absence is what is known for the case that the remote cache lacks something. Bazel may
// have told more of the build since the push began.
func (w *Worker) absence(ctx context.Context, job store.Job, invocation store.Invocation) absence {
	if later, found, err := w.invocations.Invocation(ctx, job.Invocation); err == nil && found {
		invocation = later
	}
	return absence{job: job, invocation: invocation, cache: w.cache}
}

// push reads the spec and hauls what it says, and notes in the entry all that it
// learns.
func (w *Worker) push(ctx context.Context, job store.Job, attempt store.Attempt, invocation store.Invocation, entry *ledger.Entry) error {
	spec, err := w.spec(ctx, job)
	if err != nil {
		return err
	}
	entry.Registry = spec.Destination.Registry
	entry.Repository = spec.Destination.Repository
	entry.Digest = spec.Root.String()
	for _, m := range spec.Manifests {
		manifest := ledger.Manifest{Digest: m.Digest.String(), MediaType: string(m.MediaType)}
		if m.Platform != nil {
			manifest.Platform = m.Platform.String()
		}
		entry.Manifests = append(entry.Manifests, manifest)
	}

	destination, err := w.stamp(spec.Destination, invocation, attempt.Created)
	if err != nil {
		return err
	}
	entry.Repository = destination.Repository
	for _, tag := range destination.Tags {
		entry.Tags = append(entry.Tags, ledger.Tag{Name: tag})
	}

	terms, err := w.policy.Admit(admission.Push{
		Client: job.Client, Target: job.Target, Repository: destination.Registry + "/" + destination.Repository, Tags: destination.Tags, Sources: sources(spec),
	})
	if err != nil {
		return err
	}
	hauling, stay, ok := w.lanes.enter(ctx, spec.Destination.Registry)
	if !ok {
		return &store.PostponeError{After: w.lanes.pause()}
	}
	err = name(spec, w.haul(hauling, stay, spec, destination, terms, job, attempt, invocation, entry))
	madeRoom := errors.Is(context.Cause(hauling), errMakeRoom)
	stay.left(err == nil || classify(err).final || aboutSource(err))
	if err != nil && madeRoom {
		return &store.PostponeError{After: w.lanes.pause()}
	}
	return err
}

// aboutSource tells whether a haul failed at where its bytes come from: that is nothing
// against the registry that they go to.
func aboutSource(err error) bool {
	hauled, ok := errors.AsType[*haul.Error](err)
	return ok && hauled.Source
}

// sources are the repositories that the spec has layers read from.
func sources(spec *pushspec.Spec) []string {
	var repositories []string
	for _, blob := range spec.Blobs {
		if !pushspec.Distributable(blob.MediaType) {
			continue // it is read from nowhere
		}
		for _, source := range blob.Sources {
			if source.Repository != "" && !slices.Contains(repositories, source.Repository) {
				repositories = append(repositories, source.Repository)
			}
		}
	}
	return repositories
}

// keepTags are the tags that must not be written over: what the build asks for, or the
// policy.
func keepTags(destination pushspec.Destination, terms admission.Terms) []string {
	if kept := destination.KeepTags(); kept != nil {
		return kept // all of them
	}
	return terms.KeepTags
}

// mayMount tells from which repositories of the destination's registry this push may
// take what its cache is not known to have: those that it may read or write.
func (w *Worker) mayMount(job store.Job, destination pushspec.Destination) func(repository string) bool {
	return func(repository string) bool {
		push := admission.Push{
			Client: job.Client, Target: job.Target, Tags: destination.Tags,
			Repository: destination.Registry + "/" + destination.Repository, Sources: []string{destination.Registry + "/" + repository},
		}
		if _, err := w.policy.Admit(push); err == nil {
			return true
		}
		push.Repository, push.Sources = push.Sources[0], nil
		_, err := w.policy.Admit(push)
		return err == nil
	}
}

// haul hauls what the spec says to a destination whose variables are filled in.
func (w *Worker) haul(ctx context.Context, stay *stay, spec *pushspec.Spec, destination pushspec.Destination, terms admission.Terms, job store.Job, attempt store.Attempt, invocation store.Invocation, entry *ledger.Entry) error {
	claim, err := w.claimBlobs(ctx, spec, destination.Repository)
	if err != nil {
		return err
	}
	fence := w.fence(attempt, invocation, destination, entry)
	result, err := w.hauler.Haul(ctx, haul.Request{
		Spec:          spec,
		Repository:    destination.Repository,
		Tags:          destination.Tags,
		KeepTags:      keepTags(destination, terms),
		Copied:        invocation.Command == copies.Command,
		Instance:      job.Spec.Instance,
		Invocation:    job.Invocation,
		ClaimTags:     fence.claim,
		MountFrom:     claim.elsewhere,
		MayMount:      w.mayMount(job, destination),
		LockReferrers: w.lockReferrers(destination.Registry),
		Waits:         func(host string) func(bool) { return stay.visit(destination.Registry, host) },
	})
	claim.release(err == nil)
	entry.Uploaded = ledger.Count(result.Uploaded)
	entry.Mounted = ledger.Count(result.Mounted)
	entry.Present = ledger.Count(result.Present)
	entry.Requests = result.Requests
	if err != nil {
		return err
	}
	entry.Outcome = ledger.Pushed
	if result.AlreadyThere {
		entry.Outcome = ledger.Present
	}
	entry.Tags = nil
	for _, tag := range result.Tags {
		if !fence.isSuperseded(tag.Name) {
			entry.Tags = append(entry.Tags, ledger.Tag{Name: tag.Name, Previous: tag.Previous})
		}
	}
	if len(fence.superseded) > 0 {
		entry.Outcome = ledger.Superseded
		entry.Error = fence.explain()
	}
	return fence.conflict()
}

// spec reads and decodes the job's push spec.
func (w *Worker) spec(ctx context.Context, job store.Job) (*pushspec.Spec, error) {
	data := job.Spec.Inline
	if data == nil {
		if job.Spec.Hash == "" {
			return nil, errNoDigest
		}
		if job.Spec.Size > pushspec.MaxSize {
			return nil, &pushspec.Error{Reason: fmt.Sprintf("%d bytes are over the limit of %d", job.Spec.Size, pushspec.MaxSize)}
		}
		var err error
		data, err = w.specs.ReadAll(ctx, cas.Blob{
			Instance: job.Spec.Instance,
			Digest:   cas.Digest{Function: cas.Function(job.Spec.Function), Hash: job.Spec.Hash, Size: job.Spec.Size},
		})
		if err != nil {
			return nil, &specError{err: err}
		}
	}
	spec, err := pushspec.Decode(data)
	if err != nil {
		return nil, err
	}
	return spec, checkFunction(spec, job.Spec.Function)
}

// checkFunction refuses a spec whose layers are named under another digest function
// than the cache has them under, which a cache could only answer with "not found".
func checkFunction(spec *pushspec.Spec, function string) error {
	if function == "" {
		return nil // the spec came with the event
	}
	for i, blob := range spec.Blobs {
		other := ""
		for _, source := range blob.Sources {
			named, _, _ := strings.Cut(source.CAS, ":")
			if source.CAS == "" || named == function {
				other = ""
				break
			}
			other = named
		}
		if other != "" {
			return &pushspec.Error{
				Target: spec.Target, Field: fmt.Sprintf("blobs[%d].sources", i),
				Reason: fmt.Sprintf("names the layer under %s, and the build's cache is under %s: set --@drayage//rules/settings:digest_function=%s in that build", other, function, function),
			}
		}
	}
	return nil
}

// errNoDigest is of a stream whose files have no digest: an old Bazel without a
// remote cache.
var errNoDigest = errors.New("the build event gives no digest of the push spec: the build needs a --remote_cache")

// specError says that the spec itself could not be read.
type specError struct{ err error }

func (e *specError) Error() string { return "read the push spec: " + e.err.Error() }
func (e *specError) Unwrap() error { return e.err }

// entry begins the ledger row of a job with what is known beforehand.
func (w *Worker) entry(job store.Job, invocation store.Invocation) ledger.Entry {
	commit, branch, dirty := source(invocation)
	return ledger.Entry{
		Target:        job.Target,
		Configuration: job.Configuration,
		Aspect:        job.Aspect,
		SpecDigest:    job.Spec.Digest(),
		BuildID:       job.Build,
		InvocationID:  job.Invocation,
		Command:       invocation.Command,
		BazelVersion:  invocation.BazelVersion,
		ExitCode:      invocation.ExitCode,
		Commit:        commit,
		Branch:        branch,
		Dirty:         dirty,
		Metadata:      invocation.Metadata,
		Client:        job.Client,
		DaemonVersion: w.version,
	}
}

func (w *Worker) succeeded(logger zerolog.Logger, e ledger.Entry) {
	logger.Info().
		Str("outcome", string(e.Outcome)).
		Str("registry", e.Registry).
		Str("repository", e.Repository).
		Str("digest", e.Digest).
		Strs("tags", tagNames(e)).
		Int64("bytes", e.Uploaded.Bytes).
		Int("requests", e.Requests).
		Dur("duration", e.Duration).
		Msg("image is in the registry")
}

func tagNames(e ledger.Entry) []string {
	names := make([]string, len(e.Tags))
	for i, tag := range e.Tags {
		names[i] = tag.Name
	}
	return names
}
