package web

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
)

// Source is what the pages and the API show, and what the API acts on.
type Source interface {
	LedgerSource
	LogSource
	JobSource
	LetterSource
	ReleaseSource
	FenceSource
}

// LedgerSource knows what was pushed, and what should have been.
type LedgerSource interface {
	// Entries are ledger rows, the newest first.
	Entries(ctx context.Context, query ledger.Query) ([]ledger.Entry, error)
	// Invocation is what is known of an invocation, if anything is.
	Invocation(ctx context.Context, id string) (store.Invocation, bool, error)
	// Invocations are the latest begun, or those before the one given.
	Invocations(ctx context.Context, before *store.Invocation, limit int) ([]store.Invocation, error)
	// Pending counts an invocation's jobs that are not done.
	Pending(ctx context.Context, invocation string) (int, error)
	// Missing counts what an invocation was expected to push and will not.
	Missing(ctx context.Context, invocation string) (int, error)
	// Outcomes counts an invocation's ledger rows by outcome.
	Outcomes(ctx context.Context, invocation string) (map[ledger.Outcome]int, error)
	// Expected is everything that an invocation asked for, or would have.
	Expected(ctx context.Context, invocation string) ([]ledger.Expected, error)
	// Compare sets two invocations' rows against each other.
	Compare(ctx context.Context, before, after string) ([]ledger.Difference, error)
}

// LogSource is the Merkle log over the ledger.
type LogSource interface {
	// Checkpoint is the latest signed checkpoint; nil where there is none yet.
	Checkpoint(ctx context.Context) ([]byte, error)
	// LogKey is the verifier key of the key that signs checkpoints now.
	LogKey() string
	// Verify reads the whole ledger and says what is wrong with it.
	Verify(ctx context.Context, options store.VerifyOptions) (store.Report, error)
	// Prove makes proofs of a digest, of the newest row first.
	Prove(ctx context.Context, digest string) ([]ledger.Proof, error)
	// Verification is the last comparison with the registries, as JSON, or nil.
	Verification(ctx context.Context) (jsontext.Value, error)
}

// JobSource holds the jobs that have not ended.
type JobSource interface {
	// Jobs lists the jobs of an invocation, or all, that come after a number.
	Jobs(ctx context.Context, invocation string, after int64, limit int) ([]store.JobStatus, error)
	// Cancel calls off jobs, RetryNow makes them due; both count them.
	Cancel(ctx context.Context, selection store.Selection) (int, error)
	RetryNow(ctx context.Context, selection store.Selection) (int, error)
	// Requeue begins jobs anew, and counts those that it cannot.
	Requeue(ctx context.Context, selection store.Selection) (begun, gone int, err error)
}

// LetterSource holds the events that webhooks did not take.
type LetterSource interface {
	// DeadLetters lists those of a sink, or all, that come after a number.
	DeadLetters(ctx context.Context, sink string, after int64, limit int) ([]store.DeadLetter, error)
	// Redeliver has them delivered again, and counts them.
	Redeliver(ctx context.Context, selection store.LetterSelection) (int, error)
}

// ReleaseSource knows which tags wait at a gate, and moves them.
type ReleaseSource interface {
	// Release is that of an invocation, if any of its tags wait or waited.
	Release(ctx context.Context, invocation string) (store.Release, bool, error)
	// Promote and Reject decide about it. Rollback has tags moved back, and counts the
	// pushes that wrote them.
	Promote(ctx context.Context, decision store.Decision) (store.Release, error)
	Reject(ctx context.Context, decision store.Decision) (store.Release, error)
	Rollback(ctx context.Context, decision store.Decision) (int, error)
}

// FenceSource knows in which order builds are compared at tags.
type FenceSource interface {
	// Fences lists those of a repository, or of one of its tags.
	Fences(ctx context.Context, registry, repository, tag string, limit int) ([]store.Fence, error)
	// LiftFence lets any build move a tag, and counts the fences that it lifted.
	LiftFence(ctx context.Context, registry, repository, tag, by string) (int, error)
}
