// Package sqldb is the database under the daemon: SQLite's file, or PostgreSQL.
//
// [Open] opens either, and brings River's tables and ours up to date. What the
// two write differently is in the [Dialect]; all other statements are SQL that
// both take, with question marks as placeholders.
//
// Statements are written by hand over the small interface [Conn]: see
// docs/decisions/0006-sqlite-and-postgresql.md.
//
// # Daemons that share a database
//
// On PostgreSQL each daemon holds an advisory lock on its name, on a connection
// of its own, and says every second that it is alive. A daemon that gets the lock
// of another's name, and has not heard of the other for a few seconds, knows that the
// other is dead, and gives its jobs back. A daemon that holds its lock and is silent for
// [Options.StallLimit] has stalled, and loses its jobs too. When the server was away
// nobody was heard of: so a daemon that was not heard of itself gives the others time to
// come back. One daemon at a time holds the keeper's lock. SQLite's file is locked for
// one process, which is all of these at once.
//
// # River's queue
//
// River (github.com/riverqueue/river) keeps its queue in the same database. It
// numbers the runs of a job. Its own statement that ends a job asks for the job
// alone, and would end another worker's run of it, so that statement is kept from
// the database (see the type silent): the owner of the jobs ends them with
// [DB.SetJobStates], in a transaction that asks for the run as well. See
// docs/decisions/0005-river-runs-the-jobs.md.
package sqldb
