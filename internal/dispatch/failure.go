package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/hosts"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// Classes of failure that are the daemon's own; the others are those of package
// haul.
const (
	classMalformed = "malformed"
	classEvicted   = "evicted"
	classStamp     = "stamp"
	classPolicy    = "policy"
	classGate      = "gate"
	classConflict  = ledger.ClassConflict
	classCrashed   = "crashed"
	classOther     = "unavailable"
)

// failure is what an error means for the job.
type failure struct {
	class   string
	outcome ledger.Outcome
	// final says that trying again is of no use.
	final bool
	// tries bounds the attempts that fail so, where they are fewer than the queue allows; 0
	// is as many as it allows.
	tries int
	// after is the least time before the next try; 0 leaves it to the queue.
	after time.Duration
}

// fail is what becomes of a run that has failed: the row, or the error after which the job
// is tried again.
func (r *run) fail(ctx context.Context, err error) (ledger.Entry, error) {
	f := classify(err)
	if !f.over(r.attempt) {
		r.logger.Warn().Err(err).Str("class", f.class).Int("attempt", r.attempt.Number).Dur("after", f.after).Msg(r.purpose() + " failed; it will be tried again")
		return ledger.Entry{}, &store.RetryError{After: f.after, Class: f.class, Err: err, Registry: hosts.WaitsFor(err)}
	}
	r.entry.Outcome = f.outcome
	r.entry.ErrorClass = f.class
	r.entry.Error = r.explain(ctx, err)
	r.logger.Error().Str("class", f.class).Int("attempts", r.attempt.Number).Msg(r.entry.Error)
	return r.entry, nil
}

// classify finds out what an error means for the job.
func classify(err error) failure {
	if f, ok := classifyHaul(err); ok {
		return f
	}
	switch {
	case is[*conflictError](err):
		return failure{class: classConflict, outcome: ledger.Failed, final: true}
	case is[*admission.DeniedError](err):
		return failure{class: classPolicy, outcome: ledger.Denied, final: true}
	case is[*crashedError](err):
		return failure{class: classCrashed, outcome: ledger.Failed, final: true}
	case is[*stampError](err):
		return failure{class: classStamp, outcome: ledger.Failed, final: true}
	case is[*gateError](err):
		return failure{class: classGate, outcome: ledger.Failed, final: true}
	case is[*cas.NotFoundError](err):
		// A cache that takes uploads in the background may get it yet (bazel#23250).
		return failure{class: classEvicted, outcome: ledger.Failed, tries: 4, after: time.Second}
	case is[*pushspec.Error](err), is[*pushspec.VersionError](err), errors.Is(err, errNoDigest):
		return failure{class: classMalformed, outcome: ledger.Failed, final: true}
	}
	return failure{class: classOther, outcome: ledger.Failed}
}

func classifyHaul(err error) (failure, bool) {
	hauled, ok := errors.AsType[*haul.Error](err)
	if !ok {
		return failure{}, false
	}
	outcome := ledger.Failed
	if hauled.Class == haul.Denied || hauled.Class == haul.Taken {
		outcome = ledger.Denied
	}
	return failure{class: string(hauled.Class), outcome: outcome, final: hauled.Class.Final(), after: hauled.RetryAfter}, true
}

// is tells whether an error is of a type.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// over says whether attempt was the last one.
func (f failure) over(attempt store.Attempt) bool {
	return f.final || attempt.Number >= attempt.Max || (f.tries > 0 && attempt.FailuresOf(f.class)+1 >= f.tries)
}

// explain writes the error for the person who reads the ledger: which target and
// destination, what failed, and what to do.
func (r *run) explain(ctx context.Context, err error) string {
	text := r.purpose()
	text += ": " + err.Error()
	absent, ok := errors.AsType[*cas.NotFoundError](err)
	if !ok {
		return text
	}
	miss := cacheMiss{job: r.job, invocation: r.latest(ctx), cache: r.worker.opts.Cache, hash: absent.Digest.Hash}
	if layer, ok := errors.AsType[*missing](err); ok {
		miss.target, miss.tag = layer.blob.Target(), layer.blob.Uncached()
	} else if is[*specError](err) {
		miss.spec, miss.target, miss.tag = true, r.job.Target, r.job.Uncached
	}
	return text + ". " + miss.why()
}

// purpose is what the run was to do.
func (r *run) purpose() string {
	verb, to := "push", " to "
	switch r.job.Action {
	case store.ActionTag:
		verb, to = "move the tags of", " in "
	case store.ActionRestore:
		verb, to = "roll back the tags of", " in "
	}
	text := verb + " " + r.job.Target
	if r.entry.Registry != "" {
		text += to + r.entry.Registry + "/" + r.entry.Repository
	}
	return text
}

// latest is what is known of the invocation by now: Bazel may have told more of the build
// since the push began.
func (r *run) latest(ctx context.Context) store.Invocation {
	if later, found, err := r.worker.opts.Invocations.Invocation(ctx, r.job.Invocation); err == nil && found {
		return later
	}
	return r.invocation
}
