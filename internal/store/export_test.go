package store

import (
	"context"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// DB is the store's database, for tests that do to it what the store never does.
func DB(s *Store) sqldb.DB { return s.db }

// Prune removes what is too old, as the keeper does every hour.
func Prune(ctx context.Context, s *Store) error { return s.prune(ctx) }

// Record writes the rows of jobs that end, and decides, as the end of their runs does. In
// the same transaction, last of all, it does something else.
func Record(ctx context.Context, s *Store, meanwhile func() error, entries ...ledger.Entry) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		if err := s.record(ctx, tx, entries); err != nil {
			return err
		}
		if err := s.decideOn(ctx, tx, entries); err != nil {
			return err
		}
		return meanwhile()
	})
}
