// Package store keeps jobs and the ledger in a database, and runs the jobs.
//
// A job is durable when [Store.Enqueue] returns. [Store.Run] hands jobs to a
// [Worker]; what the worker returns becomes the ledger's row in the transaction
// that completes the job, so that there is one row for each job, whatever dies
// when. River (github.com/riverqueue/river) is the queue.
//
// Many streams' jobs go into one transaction, and many jobs' ends: see group.go.
//
// # Runs and the fence
//
// River numbers the runs of a job. A run that stalls, and comes back when its
// job was given to another worker, must decide nothing any more. So every
// statement that ends a run asks, in its transaction, for the number of the run
// as well, and River's own such statements, which do not, are kept from the
// database (see the type silent). Runs are not attempts: an [Attempt] counts
// failures, and what was interrupted by a stop or a kill is not one.
//
// # Daemons that share a database
//
// On PostgreSQL each daemon holds an advisory lock on its name, on a connection
// of its own, and says every second that it is alive. Whoever gets the lock of
// another's name knows that the other is dead, and gives its jobs back; one that
// holds its lock and is silent has stalled, and loses them too. The daemon that
// holds the keeper's lock seals the log, removes what is old, and empties the
// outbox. SQLite's file is locked for one process, which is all of these.
//
// # Tags
//
// A registry writes what it is told last. [Store.ClaimTags] puts an order into
// that: a worker asks before it writes, one job at a time may write a tag, and a
// build that was started before the one that wrote it last may not. Of two targets
// of one build that want it for two images the first label has it.
//
// # The log
//
// New rows become leaves of a Merkle log in the same database, and a checkpoint
// over all is signed. [Store.Verify] finds what was changed since,
// [Store.Prove] shows that something was there. A row's leaf is its body, byte
// for byte; the columns beside it are copies.
//
// See docs/decisions/0005-river-runs-the-jobs.md,
// docs/decisions/0006-sqlite-and-postgresql.md,
// docs/decisions/0009-who-gets-a-tag.md and
// docs/decisions/0012-the-ledger-is-a-merkle-log.md.
package store
