// Package outbox tells others how pushes ended. Events are posted in the
// transaction that writes the row which they tell of, and wait in the database
// until they are delivered, so that none is lost. An event that is refused comes
// again, for about three days; then it is a dead letter, which somebody may have
// delivered again.
package outbox
