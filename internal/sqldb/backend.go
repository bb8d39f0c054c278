package sqldb

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/rs/zerolog"
)

// backend is a [DB] whose transactions are TTx: *sql.Tx or pgx.Tx.
type backend[TTx any] struct {
	driver riverdriver.Driver[TTx]
	// inserter is a River client that only inserts.
	inserter *river.Client[TTx]
	begin    func(ctx context.Context) (transaction[TTx], error)
	join     func(ctx context.Context, name string) (Session, error)
	reader   Conn
	dialect  Dialect
	// loosen makes a transaction not wait for the server's disk; empty where there
	// is no such statement.
	loosen string
	// fetchPoll is how often the database is asked for jobs, and pollOnly whether
	// it does not tell of them.
	fetchPoll time.Duration
	pollOnly  bool
	// completeJobs, if set, ends jobs more quickly than River does, and returns the states
	// that are left to set.
	completeJobs func(ctx context.Context, tx Conn, states []*riverdriver.JobSetStateIfRunningParams, now time.Time) ([]*riverdriver.JobSetStateIfRunningParams, error)
	logger       zerolog.Logger
	shut         func()
}

// transaction is a Conn in a transaction.
type transaction[TTx any] interface {
	Conn
	raw() TTx
	commit(ctx context.Context) error
	rollback(ctx context.Context)
}

// Read implements [DB].
func (b *backend[TTx]) Read() Conn { return b.reader }

// Dialect implements [DB].
func (b *backend[TTx]) Dialect() Dialect { return b.dialect }

// Close implements [DB].
func (b *backend[TTx]) Close() { b.shut() }

// Session implements [DB].
func (b *backend[TTx]) Session(ctx context.Context, name string) (Session, error) {
	return b.join(ctx, name)
}

// Write implements [DB].
func (b *backend[TTx]) Write(ctx context.Context, fn func(context.Context, Conn) error) error {
	tx, err := b.begin(ctx)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", advise(err))
	}
	if err := fn(ctx, tx); err != nil {
		tx.rollback(context.WithoutCancel(ctx))
		return err
	}
	if err := tx.commit(ctx); err != nil {
		tx.rollback(context.WithoutCancel(ctx))
		return fmt.Errorf("commit transaction: %w", advise(err))
	}
	return nil
}

// WriteLoosely implements [DB].
func (b *backend[TTx]) WriteLoosely(ctx context.Context, fn func(context.Context, Conn) error) error {
	if b.loosen == "" {
		return b.Write(ctx, fn)
	}
	return b.Write(ctx, func(ctx context.Context, tx Conn) error {
		if _, err := tx.Exec(ctx, b.loosen); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

// raw is the database's own transaction. A Conn that is none, or another
// database's, is a mistake in this program.
func raw[TTx any](tx Conn) TTx {
	t, ok := tx.(transaction[TTx])
	if !ok {
		panic(fmt.Sprintf("sqldb: %T is not a transaction of this database", tx))
	}
	return t.raw()
}
