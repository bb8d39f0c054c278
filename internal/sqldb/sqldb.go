package sqldb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
	"github.com/rs/zerolog"
)

// DefaultStallLimit is many times the interval between a daemon's beats.
const DefaultStallLimit = 30 * time.Second

// Options are what a database works with.
type Options struct {
	Logger zerolog.Logger

	// StallLimit is how long a daemon that shares the database may be silent
	// before its jobs are given to others, although its connection stands: it is
	// stopped, or its network loses packets. Defaults to [DefaultStallLimit].
	StallLimit time.Duration
}

// DB is a database. There is one implementation, [backend], for all of them; they
// differ in what they give it.
type DB interface {
	// Read is for everything that changes nothing. It never waits for a writer.
	Read() Conn
	// Write runs fn in a transaction, which is durable when Write returns nil. fn
	// uses tx alone: on SQLite there is no second connection to be had.
	Write(ctx context.Context, fn func(ctx context.Context, tx Conn) error) error
	// WriteLoosely is Write for what may be lost when the server crashes: it does
	// not wait for the server's disk where the server lets it.
	WriteLoosely(ctx context.Context, fn func(ctx context.Context, tx Conn) error) error

	// InsertJobs puts jobs into River's queue and returns their numbers in order.
	InsertJobs(ctx context.Context, tx Conn, jobs []river.InsertManyParams) ([]int64, error)
	// SetJobStates sets the states of running jobs.
	SetJobStates(ctx context.Context, tx Conn, states []*riverdriver.JobSetStateIfRunningParams, now time.Time) error
	// Jobs reads jobs by number, in a transaction or, with a nil one, without.
	Jobs(ctx context.Context, tx Conn, ids []int64) ([]*rivertype.JobRow, error)
	// CancelJob ends a job that waits, and marks one that runs. It gives the job as
	// it is then.
	CancelJob(ctx context.Context, tx Conn, job int64) (*rivertype.JobRow, error)
	// RetryJob makes a job that waits for its time available at once.
	RetryJob(ctx context.Context, tx Conn, job int64) error
	// Runner makes a River client that works on jobs. The database sets how the
	// client looks for jobs, and where it logs.
	Runner(config *river.Config) (Runner, error)

	// Session is this daemon's standing among those that share the database, under
	// the name that its River client has.
	Session(ctx context.Context, name string) (Session, error)
	// Dialect is what this database writes differently.
	Dialect() Dialect
	// Close closes the database. Whoever uses it has ended before.
	Close()
}

// Session is how daemons learn of each other's end.
type Session interface {
	// Beat says that this daemon is alive. It returns whether this daemon is the
	// keeper: there is one at a time.
	Beat(ctx context.Context) (keeper bool, err error)
	// Clock is how far the database's clock was ahead of this machine's at the last
	// beat. Daemons whose own clocks differ have that one in common.
	Clock() time.Duration
	// Reap gives back the jobs of daemons that are dead or have stalled.
	Reap(ctx context.Context) (Reaped, error)
	// Close ends the session. Others take over at once.
	Close()
}

// Reaped is what was done about daemons that are dead or have stalled.
type Reaped struct {
	// Jobs counts those that were given back.
	Jobs int64
	// Dead are the names of the daemons that are gone.
	Dead []string
}

// Runner is the part of a River client that does not depend on the database.
type Runner interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
}

// Open opens the database at url: the path of an SQLite file, which is made if it
// is not there ("drayage.db", "sqlite:/var/lib/drayage/drayage.db"), or a
// PostgreSQL URL ("postgres://user@host/name"). It brings the schema up to date;
// a schema that is newer than this program is an error.
func Open(ctx context.Context, url string, options Options) (DB, error) {
	if options.StallLimit == 0 {
		options.StallLimit = DefaultStallLimit
	}
	scheme, _, found := strings.Cut(url, ":")
	switch {
	case scheme == "postgres", scheme == "postgresql":
		return openPostgres(ctx, url, options)
	case url == "":
		return nil, errors.New("the path of the SQLite file is empty")
	case !found, scheme == "sqlite", strings.ContainsAny(scheme, "/\\."), len(scheme) == 1:
		return openSQLite(ctx, url, options)
	}
	return nil, fmt.Errorf("%q must be the path of an SQLite file or a postgres:// URL", scheme+":…")
}
