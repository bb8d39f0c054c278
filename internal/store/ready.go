package store

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/sqldb"
)

// Ready says why jobs cannot be made durable now, or nil if they can, as far as
// is known: that the last attempt went well, and the database answers.
func (s *Store) Ready(ctx context.Context) error {
	if !s.refusing.Load() {
		if _, err := sqldb.QueryRow(ctx, s.db.Read(), `SELECT size FROM log_state WHERE id = 1`, nil, new(int64)); err != nil {
			return fmt.Errorf("read store: %w", err)
		}
		return nil
	}
	// While nothing comes in nothing shows that it would go well again.
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, `UPDATE log_state SET size = size WHERE id = 1`)
		return err
	})
	if err != nil {
		return fmt.Errorf("write store: %w", err)
	}
	s.refusing.Store(false)
	return nil
}
