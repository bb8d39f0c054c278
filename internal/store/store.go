package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledgerlog"
	"github.com/drayage/drayage/internal/outbox"
	"github.com/drayage/drayage/internal/sqldb"
)

const (
	// defaultMaxAttempts is how often a job is tried: under [defaultBackoff] that
	// takes about an hour.
	defaultMaxAttempts = 20

	// DefaultDrainTimeout bounds how long Run waits for jobs that are under way
	// when its context ends.
	DefaultDrainTimeout = 15 * time.Second

	// DefaultJobTimeout bounds one attempt. It is a net for what the worker's own
	// limits do not catch.
	DefaultJobTimeout = 6 * time.Hour

	// DefaultStallLimit is the database's.
	DefaultStallLimit = sqldb.DefaultStallLimit

	// intakeSize bounds the jobs that one transaction takes in, and is what makes
	// a short enqueue beside a long one short.
	intakeSize = 100

	// intakeBytes bounds the specs that are in one stream's share of it, except
	// that one alone may be larger.
	intakeBytes = 4 << 20

	// settleSize bounds the jobs that one transaction completes.
	settleSize = 64

	// maxIntakes and maxSettles bound the transactions of each kind that are under
	// way at the same time.
	maxIntakes = 2
	maxSettles = 4
)

// Options are what a store works with.
type Options struct {
	Logger zerolog.Logger

	// Clock says what time it is. Defaults to time.Now.
	Clock func() time.Time

	// MaxAttempts bounds the attempts at a job. Defaults to [defaultMaxAttempts].
	MaxAttempts int

	// Backoff says how long to wait after the nth failure, from 1 up. Defaults to
	// [defaultBackoff].
	Backoff func(failures int) time.Duration

	// DrainTimeout bounds how long Run waits for jobs under way when its context
	// ends; what is not done by then is given back. Defaults to
	// [DefaultDrainTimeout].
	DrainTimeout time.Duration

	// JobTimeout bounds one attempt. Defaults to [DefaultJobTimeout].
	JobTimeout time.Duration

	// StallLimit is how long a daemon that shares the database may be silent
	// before its jobs are given to others, although its connection stands: it is
	// stopped, or its network loses packets. Defaults to [DefaultStallLimit].
	StallLimit time.Duration

	// StreamLimit is how long the stream of an invocation that is not finished may be with
	// no daemon before it counts as broken off. Defaults to [DefaultStreamLimit].
	StreamLimit time.Duration

	// Lease is how long a claim on blobs or tags holds unless it is renewed. Defaults to
	// [DefaultLease].
	Lease time.Duration

	// Green are the exit codes, by Bazel's names, of a build that ended well enough for its
	// tags to move. Defaults to SUCCESS.
	Green []string

	// OrderBy names a key of the build's metadata or workspace status that holds an
	// integer or a time (RFC 3339): of two builds that have it the one with the greater
	// value is the newer. Empty means that the builds' starts decide.
	OrderBy string

	// LogKey signs the ledger's checkpoints: a signer key, as [ledger.NewKey]
	// makes it. Defaults to a key that is kept in the database.
	LogKey string

	// Sinks are told of every outcome, by name. Events wait in the database until
	// they are delivered; those of a sink that is not there (any more) stay.
	Sinks map[string]Sink
	// Events are the kinds of events that each sink is told of. A sink that is not here is
	// told of pushes.
	Events map[string][]EventKind

	// Limits bound what is kept for one client. Defaults to none.
	Limits Limits

	// Retention says what is removed, and when. Rows of the ledger never are.
	Retention Retention
}

// defaultBackoff doubles from one second to five minutes, and varies by a tenth
// so that jobs that failed together do not come back together.
func defaultBackoff(failures int) time.Duration {
	wait := min(time.Second<<min(failures-1, 20), 5*time.Minute)
	return wait + time.Duration((rand.Float64()-0.5)*0.2*float64(wait))
}

// Store keeps jobs and the ledger in a database.
type Store struct {
	db      sqldb.DB
	log     *ledgerlog.Log
	outbox  *outbox.Outbox
	options Options
	logger  zerolog.Logger
	now     func() time.Time

	intakes     *batcher[intake]
	settlements *batcher[*settlement]
	claims      *batcher[*tagClaim]
	changes     *changes
	// keeping says whether this daemon is the keeper, who seals the log, removes
	// what is old, and empties the outbox.
	keeping atomic.Bool
	// swept is when the keeper last looked at all releases; it is the keeper's alone.
	swept time.Time

	underWay     underWay
	streams      streams
	blobs        blobHolds
	tags         tagHolds
	blobReleases blobReleases
	// clock is the database's time less this machine's, in nanoseconds.
	clock atomic.Int64
	// name is this daemon's among those that share the database.
	name string
}

// Open opens the store at url: the path of an SQLite file, which is made if it
// is not there ("drayage.db", "sqlite:/var/lib/drayage/drayage.db"), or a
// PostgreSQL URL ("postgres://user@host/name"). It brings the schema up to
// date; a schema that is newer than this program is an error.
func Open(ctx context.Context, url string, options Options) (*Store, error) {
	options.setDefaults()
	db, err := sqldb.Open(ctx, url, sqldb.Options{Logger: options.Logger, StallLimit: options.StallLimit})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		db:      db,
		options: options,
		logger:  options.Logger,
		now:     func() time.Time { return options.Clock().UTC().Truncate(time.Microsecond) },
		changes: newChanges(),
		name:    daemonName(),
	}
	if err := s.openParts(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	writers := db.Dialect().Writers
	s.intakes = newBatcher(min(writers, maxIntakes), intakeSize, s.takeIn)
	s.claims = newBatcher(min(writers, maxSettles), settleSize, s.claimTags)
	s.settlements = newBatcher(min(writers, maxSettles), settleSize, s.settle)
	return s, nil
}

// openParts opens what keeps something of its own in the database.
func (s *Store) openParts(ctx context.Context) (err error) {
	s.log, err = ledgerlog.Open(ctx, s.db, ledgerlog.Options{Key: s.options.LogKey, Clock: s.now})
	if err != nil {
		return err
	}
	s.outbox, err = outbox.New(s.db, outbox.Options{Sinks: s.options.Sinks, Kinds: s.options.Events, Origin: s.log.Name(), Clock: s.now, Logger: s.logger})
	return err
}

func (o *Options) setDefaults() {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = defaultMaxAttempts
	}
	if o.Backoff == nil {
		o.Backoff = defaultBackoff
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = DefaultDrainTimeout
	}
	if o.JobTimeout == 0 {
		o.JobTimeout = DefaultJobTimeout
	}
	if o.StreamLimit == 0 {
		o.StreamLimit = DefaultStreamLimit
	}
	if o.Lease == 0 {
		o.Lease = DefaultLease
	}
	if o.Green == nil {
		o.Green = []string{"SUCCESS"}
	}
	o.Retention.setDefaults()
}

// Close finishes what is being written and closes the database. Whoever called
// Run has ended it before.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.DrainTimeout)
	defer cancel()
	s.intakes.close(ctx)
	s.claims.close(ctx)
	s.settlements.close(ctx)
	s.db.Close()
	return nil
}
