package store

import (
	"context"

	"github.com/drayage/drayage/internal/sqldb"
)

// DB is the store's database, for tests that do to it what the store never does.
func DB(s *Store) sqldb.DB { return s.db }

// Prune removes what is too old, as the keeper does every hour.
func Prune(ctx context.Context, s *Store) error { return s.prune(ctx) }
