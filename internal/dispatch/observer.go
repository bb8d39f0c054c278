package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rs/zerolog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bep"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// Queue is where an [Observer] makes what it found durable.
type Queue interface {
	// Claim makes an invocation known as its owner's. The error is a [*store.OwnerError] if
	// it is another's, and so are those of Enqueue, SaveInvocation and Remember. It is a
	// [*store.QuotaError], as that of Enqueue, if the client may have no more kept.
	Claim(ctx context.Context, invocation, owner, client string) error
	// Enqueue returns when the jobs are durable. A job that is there already is
	// not added again.
	Enqueue(ctx context.Context, jobs []store.Job) error
	// SaveInvocation merges what is known of an invocation into what was known.
	SaveInvocation(ctx context.Context, invocation store.Invocation) error
	// Remember keeps records of an invocation's stream until it has finished.
	Remember(ctx context.Context, invocation, owner string, records [][]byte) error
	// Remembered are the records that Remember kept.
	Remembered(ctx context.Context, invocation string) ([][]byte, error)
	// Streaming notes that the invocation's stream is here until ended is called.
	Streaming(invocation string) (ended func())
}

// Observer turns push specs in build event streams into durable jobs. It
// implements [bes.Observer].
type Observer struct{ opts ObserverOptions }

// ObserverOptions are what an [Observer] works with.
type ObserverOptions struct {
	// Queue is where the jobs go that are found.
	Queue Queue
	Scan  bep.Options
	// Hold says which builds are held. The zero Hold holds none.
	Hold Hold
	// Client names who sends a stream, and tells whether that is proved. Defaults to
	// the client's host, which is not.
	Client func(bes.Stream) (name string, proved bool)
	// MayPush tells whether a client may have anything pushed at all. Of one that may not
	// nothing is kept. Defaults to yes.
	MayPush func(client string) bool
	// Refusals are told of clients that are refused something. It may be nil.
	Refusals *Refusals
	Logger   zerolog.Logger
}

// NewObserver makes an observer.
func NewObserver(options ObserverOptions) *Observer {
	if options.Hold.Limit <= 0 {
		options.Hold.Limit = DefaultHoldLimit
	}
	if options.Client == nil {
		options.Client = func(stream bes.Stream) (string, bool) { return stream.Host(), false }
	}
	if options.MayPush == nil {
		options.MayPush = func(string) bool { return true }
	}
	return &Observer{opts: options}
}

// Begin implements [bes.Observer].
func (o *Observer) Begin(ctx context.Context, stream bes.Stream) bes.Observation {
	logger := o.opts.Logger.With().Str("invocation", stream.InvocationID).Str("build", stream.BuildID).Logger()
	client, proved := o.opts.Client(stream)
	s := &observation{
		stream:  stream,
		client:  client,
		scanner: bep.NewScanner(o.opts.Scan),
		holds:   o.opts.Hold,
		logger:  logger,
	}
	if proved {
		s.owner = client
	}
	s.batches = newBatcher(ctx, o.opts.Queue, s.owner, func(quota *store.QuotaError) {
		o.opts.Refusals.Note(quota.Limit, client, stream.InvocationID, "push specs of the stream are not kept: "+quota.Error())
	})
	if !o.opts.MayPush(client) {
		s.unkeptWhy = "no rule of the daemon's policy is for " + client
		o.opts.Refusals.Note(refusedStranger, client, stream.InvocationID, "no rule of the policy is for this client: its build events are passed on, and nothing of them is kept")
		return s
	}
	if s.broken = o.claim(ctx, s); s.broken != nil {
		return s
	}
	if s.unkeptWhy != "" {
		return s
	}
	s.ended = o.opts.Queue.Streaming(stream.InvocationID)
	if stream.FirstSequence <= 1 {
		return s
	}
	// A stream that goes on after a crash of the daemon does not begin anew: what
	// was acknowledged is not sent again, so what it meant is read back.
	var records [][]byte
	err := patiently(ctx, func(ctx context.Context) (err error) {
		records, err = o.opts.Queue.Remembered(ctx, stream.InvocationID)
		return err
	})
	if err != nil {
		s.broken = unavailable(err)
		return s
	}
	for _, record := range records {
		if err := s.scanner.Recall(record); err != nil {
			logger.Error().Err(err).Msg("cannot read what was remembered of the stream")
		}
	}
	return s
}

// claim makes the invocation the client's, or refuses a client that would add to another's:
// what a stream says of its build fills in where that build's images go.
func (o *Observer) claim(ctx context.Context, s *observation) error {
	var claimed error
	err := patiently(ctx, func(ctx context.Context) error {
		claimed = o.opts.Queue.Claim(ctx, s.stream.InvocationID, s.owner, s.client)
		_, owned := errors.AsType[*store.OwnerError](claimed)
		_, quota := errors.AsType[*store.QuotaError](claimed)
		if owned || quota {
			return nil // asking again changes nothing
		}
		return claimed
	})
	if err != nil {
		return unavailable(err)
	}
	if quota, is := errors.AsType[*store.QuotaError](claimed); is {
		s.unkeptWhy = quota.Error()
		o.opts.Refusals.Note(quota.Limit, s.client, s.stream.InvocationID, "nothing of the stream is kept: "+quota.Error())
		return nil
	}
	if claimed != nil {
		o.opts.Refusals.Note(refusedOwner, s.client, s.stream.InvocationID, "refused a client that sends events of another client's invocation")
	}
	return refusal(claimed)
}

// observation is one stream.
type observation struct {
	stream bes.Stream
	// client is who sends it, and owner the same if that is proved.
	client, owner string

	scanner *bep.Scanner
	batches *batcher
	holds   Hold
	logger  zerolog.Logger
	// unkeptWhy says why nothing of the stream is kept: its client may push nothing, or has
	// had as much kept as it may. Empty if it is kept.
	unkeptWhy string
	// unkept counts the push specs that were not kept.
	unkept int
	// ended says that the stream is not here any more. It is nil where it never was.
	ended func()
	// warned is set once a priority was asked for that there is not.
	warned bool
	// warnedOfGate is the same for a gate.
	warnedOfGate bool
	// broken is why the stream cannot be observed; it keeps every event from
	// being acknowledged.
	broken error
}

// Observe implements [bes.Observation].
func (s *observation) Observe(event bes.Event) func(context.Context) error {
	if s.broken != nil {
		return func(context.Context) error { return s.broken }
	}
	var news batch
	if len(event.BazelEvent) > 0 {
		found, err := s.scanner.Scan(event.BazelEvent)
		if err != nil {
			s.warnUnread(err, event)
		}
		s.report(found)
		for _, spec := range found.Specs {
			// An alias, an aspect or another configuration repeats what a target said.
			if !spec.Repeated {
				news.jobs = append(news.jobs, s.job(spec))
			}
		}
		news.records = found.Remember
		absent := absent(found)
		if found.Changed || len(absent) > 0 {
			news.invocation = s.invocation()
			news.invocation.Absent = absent
		}
	}
	if event.Finished {
		news.invocation = s.invocation()
		news.invocation.Finished = true
	}
	if s.unkeptWhy != "" {
		s.unkept += len(news.jobs)
		return s.turnAway(event)
	}
	if news.empty() {
		return nil
	}
	news.id = s.stream.InvocationID
	wait := s.batches.add(news)
	if event.Finished && s.holds.Pushes != nil {
		return s.hold(wait)
	}
	return wait
}

// End implements [bes.Observation].
func (s *observation) End(err error) {
	s.batches.close()
	if s.ended != nil {
		s.ended()
	}
	if err != nil {
		s.logger.Info().Err(err).Msg("stream ended early")
	}
}

func (s *observation) job(spec bep.SpecFile) store.Job {
	s.logger.Debug().Str("target", spec.Label).Str("digest", spec.File.Digest).Msg("push spec found")
	return store.Job{
		Invocation:    s.stream.InvocationID,
		Build:         s.stream.BuildID,
		Target:        spec.Label,
		Configuration: spec.Configuration,
		Aspect:        spec.Aspect,
		Client:        s.client,
		Owner:         s.owner,
		Priority:      s.priority(),
		Gate:          s.gate(),
		Started:       s.scanner.Invocation().Started,
		Uncached:      uncached(spec.Tags),
		Spec: store.SpecRef{
			Instance: spec.File.Instance,
			Function: spec.File.Function,
			Hash:     spec.File.Digest,
			Size:     spec.File.Length,
			Inline:   spec.File.Contents,
			Host:     spec.File.Host,
			Local:    strings.HasPrefix(spec.File.URI, "file:"),
		},
	}
}

// priority is what the build asks for as --build_metadata=DRAYAGE_PRIORITY=…, which
// comes before the events that tell of outputs.
func (s *observation) priority() store.Priority {
	asked := s.scanner.Invocation().Metadata[priorityMetadata]
	priority, known := map[string]store.Priority{
		"": 0, "urgent": store.PriorityUrgent, "normal": store.PriorityNormal, "low": store.PriorityLow, "idle": store.PriorityIdle,
	}[asked]
	if !known {
		if !s.warned {
			s.warned = true
			s.logger.Warn().Str("asked", asked).Msg("the build asks for an unknown priority; its pushes get normal. Use urgent, normal, low or idle")
		}
	}
	return priority
}

// gate is what the build asks its tags to wait for. A job has it from the beginning: it may
// be looked at before anything of its build is stored.
func (s *observation) gate() string {
	asked := askedGate(s.scanner.Invocation().Metadata)
	if _, err := pushspec.ParseGate(asked); err != nil && !s.warnedOfGate {
		s.warnedOfGate = true
		s.logger.Warn().Err(&gateError{err}).Msg("the build asks for an unknown gate; its pushes fail")
	}
	return asked
}

// priorityMetadata is the build metadata that says how soon a build's pushes are to
// be done, compared with those of other builds.
const priorityMetadata = "DRAYAGE_PRIORITY"

func (s *observation) warnUnread(err error, event bes.Event) {
	if s.unkeptWhy == "" {
		s.logger.Warn().Err(err).Int64("sequence", event.Sequence).Msg("build event cannot be read; it is forwarded all the same")
	}
}

// report says aloud what the stream keeps from being pushed. Of one of which nothing is kept
// that has been said.
func (s *observation) report(found bep.Found) {
	if s.unkeptWhy != "" {
		return
	}
	for _, lost := range found.Lost {
		s.logger.Error().Str("target", lost.Label).Str("group", lost.OutputGroup).Msg("a push spec of this target was not found: the stream names its file in a way that cannot be followed")
	}
	for _, what := range found.Refused {
		s.logger.Warn().Str("client", s.client).Msg("the stream supplies more than is kept: " + what)
	}
	if found.Full {
		s.logger.Error().Msg("the stream names more push specs than are kept for one invocation; later ones may be missed")
	}
}

// invocation is what the stream has said about itself so far.
func (s *observation) invocation() *store.Invocation {
	i := s.scanner.Invocation()
	return &store.Invocation{
		ID:           s.stream.InvocationID,
		Build:        s.stream.BuildID,
		Command:      i.Command,
		BazelVersion: i.ToolVersion,
		Owner:        s.owner,
		Started:      i.Started,
		Status:       i.Status,
		Metadata:     i.Metadata,
		Flags:        i.Flags,
		Unsent:       store.Unsent(i.Unsent),
		Unconfigured: i.Unconfigured,
		ExitCode:     i.ExitName,
	}
}

// turnAway is what is waited for before an event is acknowledged that is not kept: nothing,
// but a build that would be held for its pushes must not seem to have pushed.
func (s *observation) turnAway(event bes.Event) func(context.Context) error {
	if !event.Finished || s.unkept == 0 || !s.holds.wanted(s.scanner.Invocation().Metadata) {
		return nil
	}
	return func(context.Context) error {
		return failBuild(fmt.Sprintf("drayage: %s pushed: %s", counted(s.unkept, "image is not", "images are not"), s.unkeptWhy))
	}
}

// refusal is the status that tells Bazel why something could not be kept: it sends that
// again, unless the invocation is another client's.
func refusal(err error) error {
	if owned, is := errors.AsType[*store.OwnerError](err); is {
		return status.Error(codes.FailedPrecondition, owned.Error())
	}
	return unavailableIf(err)
}

func unavailableIf(err error) error {
	if err == nil {
		return nil
	}
	return unavailable(err)
}

// unavailable is the status that makes Bazel send again what could not be kept.
func unavailable(err error) error { return status.Error(codes.Unavailable, err.Error()) }
