package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/note"
)

const (
	// DefaultMaxAttempts is how often a job is tried: under [DefaultBackoff] that
	// takes about an hour.
	DefaultMaxAttempts = 20

	// DefaultDrainTimeout bounds how long Run waits for jobs that are under way
	// when its context ends.
	DefaultDrainTimeout = 15 * time.Second

	// DefaultJobTimeout bounds one attempt. It is a net for what the worker's own
	// limits do not catch.
	DefaultJobTimeout = 6 * time.Hour

	// DefaultStallLimit is many times the interval between a daemon's beats.
	DefaultStallLimit = 30 * time.Second

	// DefaultLogName names a ledger that was not given a name.
	DefaultLogName = "drayage"

	// intakeSize bounds the jobs that one transaction takes in, and is what makes
	// a short enqueue beside a long one short.
	intakeSize = 100

	// intakeBytes bounds the specs that are in one stream's share of it, except
	// that one alone may be larger.
	intakeBytes = 4 << 20

	// settleSize bounds the jobs that one transaction completes.
	settleSize = 64
)

// Options are what a store works with.
type Options struct {
	Logger zerolog.Logger

	// Clock says what time it is. Defaults to time.Now.
	Clock func() time.Time

	// MaxAttempts bounds the attempts at a job. Defaults to [DefaultMaxAttempts].
	MaxAttempts int

	// Backoff says how long to wait after the nth failure, from 1 up. Defaults to
	// [DefaultBackoff].
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

	// LogKey signs the ledger's checkpoints: a signer key, as [ledger.NewKey]
	// makes it. Defaults to a key that is kept in the database.
	LogKey string

	// LogName names a log whose key is kept in the database. Defaults to
	// [DefaultLogName].
	LogName string

	// Sinks are told of every outcome, by name. Events wait in the database until
	// they are delivered; those of a sink that is not there (any more) stay.
	Sinks map[string]Sink

	// Retention says what is removed, and when. Rows of the ledger never are.
	Retention Retention
}

// DefaultBackoff doubles from one second to five minutes, and varies by a tenth
// so that jobs that failed together do not come back together.
func DefaultBackoff(failures int) time.Duration {
	wait := min(time.Second<<min(failures-1, 20), 5*time.Minute)
	return wait + time.Duration((rand.Float64()-0.5)*0.2*float64(wait))
}

// Store keeps jobs and the ledger in a database.
type Store struct {
	db      database
	options Options
	log     zerolog.Logger
	now     func() time.Time

	intake  *group[intake]
	settled *group[*settlement]
	claims  *group[*tagClaim]
	changes *changes
	// posted is told when there is something in the outbox, and keeping says
	// whether this daemon is the one to deliver it.
	posted  chan struct{}
	keeping atomic.Bool

	underWay underWay
	blobs    heldBlobs
	// name is this daemon's among those that share the database.
	name string
	// refusing says that the last intake failed.
	refusing atomic.Bool

	signer   note.Signer
	verifier string
}

// Open opens the store at url: the path of an SQLite file, which is made if it
// is not there ("drayage.db", "sqlite:/var/lib/drayage/drayage.db"), or a
// PostgreSQL URL ("postgres://user@host/name"). It brings the schema up to
// date; a schema that is newer than this program is a [*NewerSchemaError].
func Open(ctx context.Context, url string, options Options) (*Store, error) {
	options.setDefaults()
	if err := checkSinks(options.Sinks); err != nil {
		return nil, err
	}
	open, err := opener(url)
	if err != nil {
		return nil, err
	}
	db, err := open(ctx, url, options)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db:      db,
		options: options,
		log:     options.Logger,
		now:     func() time.Time { return options.Clock().UTC().Truncate(time.Microsecond) },
		changes: newChanges(),
		posted:  make(chan struct{}, 1),
		name:    daemonName(),
	}
	if err := s.prepareKey(ctx); err != nil {
		db.close()
		return nil, fmt.Errorf("prepare the log's key: %w", err)
	}
	s.intake = newGroup(db.dialect().intakes, intakeSize, s.takeIn)
	s.claims = newGroup(db.dialect().settles, settleSize, s.claim)
	s.settled = newGroup(db.dialect().settles, settleSize, s.settle)
	return s, nil
}

func (o *Options) setDefaults() {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = DefaultMaxAttempts
	}
	if o.Backoff == nil {
		o.Backoff = DefaultBackoff
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = DefaultDrainTimeout
	}
	if o.JobTimeout == 0 {
		o.JobTimeout = DefaultJobTimeout
	}
	if o.StallLimit == 0 {
		o.StallLimit = DefaultStallLimit
	}
	o.Retention.setDefaults()
	if o.LogName == "" {
		o.LogName = DefaultLogName
	}
}

// opener picks the database by the URL's scheme.
func opener(url string) (openFunc, error) {
	scheme, _, found := strings.Cut(url, ":")
	switch {
	case scheme == "postgres", scheme == "postgresql":
		return openPostgres, nil
	case url == "":
		return nil, errors.New("open store: the path of the SQLite file is empty")
	case !found, scheme == "sqlite", strings.ContainsAny(scheme, "/\\."), len(scheme) == 1:
		return openSQLite, nil
	}
	return nil, fmt.Errorf("open store: %q is neither the path of an SQLite file nor a postgres:// URL", scheme+":…")
}

// Close finishes what is being written and closes the database. Whoever called
// Run has ended it before.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.DrainTimeout)
	defer cancel()
	s.intake.close(ctx)
	s.claims.close(ctx)
	s.settled.close(ctx)
	s.db.close()
	return nil
}
