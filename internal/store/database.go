package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// database is what the store needs of a database. There is one implementation,
// [backend], for all of them; they differ in what they give it.
type database interface {
	// read is for everything that changes nothing. It never waits for a writer.
	read() conn
	// write runs fn in a transaction, which is durable when write returns nil. fn
	// uses tx alone: on SQLite there is no second connection to be had.
	write(ctx context.Context, fn func(ctx context.Context, tx conn) error) error
	// insert puts jobs into River's queue and returns their numbers in order.
	insert(ctx context.Context, tx conn, jobs []Job) ([]int64, error)
	// settle sets the states of running jobs.
	settle(ctx context.Context, tx conn, states []*riverdriver.JobSetStateIfRunningParams, now time.Time) error
	// jobs reads jobs by number, in a transaction or, with a nil one, without.
	jobs(ctx context.Context, tx conn, ids []int64) ([]*rivertype.JobRow, error)
	// cancel ends a job that waits, and marks one that runs. It gives the job as
	// it is then.
	cancel(ctx context.Context, tx conn, job int64) (*rivertype.JobRow, error)
	// retry makes a job that waits for its time available at once.
	retry(ctx context.Context, tx conn, job int64) error
	// runner makes a River client that works on jobs.
	runner(config *river.Config) (runner, error)
	// session is this daemon's standing among those that share the database, under
	// the name that its River client has.
	session(ctx context.Context, name string) (session, error)
	// copyTo writes a copy of the database to a new file, where there is such a
	// thing.
	copyTo(ctx context.Context, path string) error
	dialect() dialect
	close()
}

// session is how daemons know of each other's end.
type session interface {
	// beat says that this daemon is alive. It returns whether this daemon is the
	// one that keeps the ledger: there is one at a time.
	beat(ctx context.Context) (keeper bool, err error)
	// reap gives back the jobs of daemons that are not there any more.
	reap(ctx context.Context) (jobs int64, err error)
	close()
}

// runner is the part of a River client that does not depend on the database.
type runner interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
}

// conn runs SQL: on one connection in a transaction, or on a pool. Placeholders
// are question marks, whatever the database's own are.
type conn interface {
	exec(ctx context.Context, sql string, args ...any) (int64, error)
	// query calls each for every row, with the function that reads its columns.
	query(ctx context.Context, sql string, args []any, each func(scan func(...any) error) error) error
}

// dialect holds what the databases write differently.
type dialect struct {
	name string
	// forUpdate ends a SELECT whose rows are to stay as they are until the
	// transaction ends. SQLite has one writer at a time, and needs nothing.
	forUpdate string
	// intakes and settles are how many transactions of each kind are under way at
	// the same time.
	intakes, settles int
	// fetchPoll is how often the database is asked for jobs, and pollOnly whether
	// it does not tell of them.
	fetchPoll time.Duration
	pollOnly  bool
	// shared says that other daemons may work on the same database.
	shared bool
}

// queryRow reads one row, if there is one.
func queryRow(ctx context.Context, c conn, sql string, args []any, dest ...any) (found bool, err error) {
	err = c.query(ctx, sql, args, func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// values writes n parenthesised groups of placeholders, for VALUES.
func values(n int, group string) string {
	return strings.TrimSuffix(strings.Repeat(group+",", n), ",")
}

// numbered turns question marks into $1, $2, … None of our statements has a
// question mark of any other meaning.
func numbered(sql string) string {
	var b strings.Builder
	n := 0
	for {
		before, after, found := strings.Cut(sql, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		sql = after
	}
}

// micros is how times are kept in our tables.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// openFunc opens one kind of database.
type openFunc func(ctx context.Context, url string, options Options) (database, error)
