package store

import "github.com/drayage/drayage/internal/sqldb"

// DB is the store's database, for tests that do to it what the store never does.
func DB(s *Store) sqldb.DB { return s.db }
