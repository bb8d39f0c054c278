// Package store keeps jobs in a database, runs them, and records how they ended.
//
// A job is durable when [Store.Enqueue] returns. [Store.Run] hands jobs to a
// [Worker]; what the worker returns becomes the ledger's row in the transaction
// that completes the job. So there is one row for each job, whatever dies when.
//
// The store stands on three packages: internal/sqldb is the database with River's
// queue in it, internal/ledgerlog the ledger's rows as a signed log, and
// internal/outbox tells others of outcomes.
//
// Many streams' jobs go into one transaction, and many jobs' ends: see batcher.go.
//
// # Runs
//
// River numbers the runs of a job. A run can stall, and come back when its job
// was given to another worker; then it must decide nothing any more. So every
// statement that ends a run asks, in its transaction, whether the run is still
// the job's current one (see [Store.checkRuns]). Runs are not attempts: an
// [Attempt] counts failures, and what was interrupted by a stop or a kill is not
// one.
//
// A run can also get lost on its way here, when the connection breaks that was to
// bring it. What the database says is under way here, and is not, is given back.
//
// # Releases
//
// A push whose tags wait at a gate ends as staged, and makes a release of its invocation.
// One function, [Store.decide], says whether the tags move: it is called in the transaction
// of whatever may change the answer, and locks the release before it looks. Tags move, are
// withheld and are put back by jobs of their own (see [Action]), each with a row of its own.
//
// # The keeper
//
// Of the daemons that share a database one is the keeper. It seals the log,
// removes what is old, empties the outbox, and decides on releases that a race of two
// transactions left undecided.
//
// # Claims
//
// A claim is the exclusive right to write tags or to upload blobs. It is a lease, with
// an end in the database: its holder renews it while it works, all of a daemon's in one
// transaction, and within limits. Whoever waits looks at the lease, and not at whether
// the holder lives. A release that fails is tried again until the lease has ended.
//
// A registry keeps the tag that was written last. [Store.ClaimTags] puts an order
// into that, the fence: a worker asks before it writes, one job at a time may
// write a tag, and a build that is older than the one that wrote the tag last may
// not: see [Invocation.Order]. If two targets of one build want a tag for two images, the target
// whose label comes first has it. See docs/decisions/0009-who-gets-a-tag.md.
//
// [Store.ClaimBlobs] keeps daemons that share a database from uploading the same
// blob twice.
package store
