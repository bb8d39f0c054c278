package dispatch

import (
	"errors"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/admission"
	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/haul"
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
	classConflict  = ledger.ClassConflict
	classOther     = "unavailable"
)

// failure is what an error means for the job.
type failure struct {
	class   string
	outcome ledger.Outcome
	// final says that trying again is of no use.
	final bool
	// tries bounds the attempts, where they are fewer than the queue allows; 0 is as
	// many as it allows.
	tries int
	// after is the least time before the next try; 0 leaves it to the queue.
	after time.Duration
}

func classify(err error) failure {
	if hauled, ok := errors.AsType[*haul.Error](err); ok {
		f := failure{class: string(hauled.Class), outcome: ledger.Failed, final: hauled.Class.Final(), after: hauled.RetryAfter}
		if hauled.Class == haul.Denied || hauled.Class == haul.Taken {
			f.outcome = ledger.Denied
		}
		return f
	}
	var (
		unset    *stampError
		missing  *cas.NotFoundError
		document *pushspec.Error
		version  *pushspec.VersionError
		denied   *admission.DeniedError
		conflict *conflictError
	)
	switch {
	case errors.As(err, &conflict):
		return failure{class: classConflict, outcome: ledger.Failed, final: true}
	case errors.As(err, &denied):
		return failure{class: classPolicy, outcome: ledger.Denied, final: true}
	case errors.As(err, &unset):
		return failure{class: classStamp, outcome: ledger.Failed, final: true}
	case errors.As(err, &missing):
		// A cache that takes uploads in the background may get it yet (bazel#23250).
		return failure{class: classEvicted, outcome: ledger.Failed, tries: 4, after: time.Second}
	case errors.As(err, &document), errors.As(err, &version), errors.Is(err, errNoDigest):
		return failure{class: classMalformed, outcome: ledger.Failed, final: true}
	}
	return failure{class: classOther, outcome: ledger.Failed}
}

// over says whether attempt was the last one.
func (f failure) over(attempt store.Attempt) bool {
	return f.final || attempt.Number >= attempt.Max || (f.tries > 0 && attempt.Number >= f.tries)
}

// explain writes the error for the person who reads the ledger: which target and
// destination, what failed, and what to do.
func explain(known absence, entry ledger.Entry, err error) string {
	text := "push " + known.job.Target
	if entry.Registry != "" {
		text += fmt.Sprintf(" to %s/%s", entry.Registry, entry.Repository)
	}
	text += ": " + err.Error()
	absent, ok := errors.AsType[*cas.NotFoundError](err)
	if !ok {
		return text
	}
	known.hash = absent.Digest.Hash
	if layer, ok := errors.AsType[*missing](err); ok {
		known.target, known.tag = layer.blob.Target(), layer.blob.Uncached()
	} else if _, ok := errors.AsType[*specError](err); ok {
		known.spec, known.target, known.tag = true, known.job.Target, known.job.Uncached
	}
	return text + ". " + known.why()
}
