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
	alive  func(column string) string
}

// Alive is an SQL condition: the daemon that the column names is alive, as far as
// its beats tell.
func (d Dialect) Alive(column string) string { return d.alive(column) }

func sqliteDialect() Dialect {
	// A file has one daemon, so none but this one is alive.
	return Dialect{Writers: 1, alive: func(string) string { return "1 = 0" }}
}

func postgresDialect(stallLimit time.Duration) Dialect {
	return Dialect{ForUpdate: " FOR UPDATE", Writers: postgresWriters, Shared: true, alive: func(column string) string {
		return "EXISTS (SELECT 1 FROM daemon WHERE daemon.id = " + column + " AND NOT " + stale(stallLimit) + ")"
	}}
}

// stale is a condition on PostgreSQL's table daemon: the daemon has been silent
// for too long.
func stale(limit time.Duration) string {
	return "daemon.seen < now() - make_interval(secs => " + strconv.FormatFloat(limit.Seconds(), 'f', -1, 64) + ")"
}
