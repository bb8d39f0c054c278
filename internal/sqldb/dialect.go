package sqldb

import (
	"strconv"
	"time"
)

// Dialect holds what the databases write differently.
type Dialect struct {
	// ForUpdate ends a SELECT whose rows must stay as they are until the
	// transaction ends. SQLite has one writer at a time, and needs nothing.
	ForUpdate string
	// Writers is how many transactions may write at the same time.
	Writers int
	// Shared says that other daemons may work on the same database.
	Shared bool
	// TakenBy is a condition on River's table of jobs: the job's last run was that of
	// the daemon whose name is the placeholder.
	TakenBy string
}

func sqliteDialect() Dialect {
	// A file has one daemon, whose runs all are.
	return Dialect{Writers: 1, TakenBy: "CAST(? AS TEXT) <> ''"}
}

func postgresDialect() Dialect {
	return Dialect{ForUpdate: " FOR UPDATE", Writers: postgresWriters, Shared: true, TakenBy: "attempted_by[array_upper(attempted_by, 1)] = ?"}
}

// silentFor is a condition on PostgreSQL's table daemon: the daemon has been silent
// for so long.
func silentFor(limit time.Duration) string {
	return "daemon.seen < now() - make_interval(secs => " + strconv.FormatFloat(limit.Seconds(), 'f', -1, 64) + ")"
}
