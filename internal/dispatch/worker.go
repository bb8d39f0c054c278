package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/hosts"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// Hauler carries one image from the remote cache to a registry.
type Hauler interface {
	Haul(ctx context.Context, request haul.Request) (haul.Result, error)
	// Retag moves tags to an image that is in its repository.
	Retag(ctx context.Context, retag haul.Retag) (haul.Result, error)
	// Restore moves tags back to what they pointed to before.
	Restore(ctx context.Context, restore haul.Restore) (haul.Restored, error)
	// LastProgress is when a registry last took bytes or answered.
	LastProgress(registry string) time.Time
}

// Invocations is where a [Worker] looks up what the stream said of its
// invocation.
type Invocations interface {
	Invocation(ctx context.Context, id string) (store.Invocation, bool, error)
}

// WorkerOptions are what a [Worker] works with.
type WorkerOptions struct {
	Specs       SpecReader
	Hauler      Hauler
	Invocations Invocations
	Releases    Releases
	Tags        Tags
	Blobs       Blobs
	Policy      Policy
	// Decodes are marked in it; nil marks none.
	Decodes Decodes
	// Hosts say which registries pushes may go to; nil is all.
	Hosts *hosts.Hosts
	// Gate is what the tags of every build wait for at least.
	Gate pushspec.Gate
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
	opts WorkerOptions
	// shares are of the workers that haul, and tagShares of those that move tags.
	shares, tagShares *shares
	specs             *specRoom
}

// NewWorker makes a worker.
func NewWorker(options WorkerOptions) *Worker {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Worker{
		opts:      options,
		shares:    newShares(options.Workers, options.Hauler.LastProgress),
		tagShares: newShares(store.TagWorkers*options.Workers, options.Hauler.LastProgress),
		specs:     newSpecRoom(),
	}
}

// Work implements [store.Worker]: it returns what the ledger is to hold, or the
// error after which the job is tried again.
func (w *Worker) Work(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
	started := w.opts.Now()
	r, err := w.begin(ctx, job, attempt)
	if err != nil {
		return ledger.Entry{}, err
	}
	defer r.letGo()
	err = r.do(ctx)
	r.entry.Time = w.opts.Now()
	r.entry.Duration = r.entry.Time.Sub(started)
	if err == nil {
		r.logEnd()
		return r.entry, nil
	}
	// A stop of the daemon is nobody's failure: the job goes on at the next start.
	if ctx.Err() != nil {
		return ledger.Entry{}, ctx.Err()
	}
	if _, postponed := errors.AsType[*store.PostponeError](err); postponed || errors.Is(err, store.ErrLost) {
		return ledger.Entry{}, err
	}
	return r.fail(ctx, err)
}
