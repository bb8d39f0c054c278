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
// # Queries
//
// The statements are written by hand over the small conn interface, and not
// generated from one query file by sqlc. Its two generated packages would take
// two kinds of transactions and have two sets of types, so that each query would
// need an adapter for each database, where one function that renumbers
// placeholders does for all; and the ledger's query has to be put together from
// the fields that are asked for, or the databases do not use its indexes.
package store
