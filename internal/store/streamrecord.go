package store

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/sqldb"
)

// Remember keeps records of an invocation's stream until the invocation is
// saved as finished. It is durable on return. The error is an [*OwnerError] if the
// invocation has another owner.
func (s *Store) Remember(ctx context.Context, invocation, owner string, records [][]byte) error {
	if len(records) == 0 {
		return nil
	}
	if err := s.intakes.do(ctx, invocation, len(records), intake{invocationID: invocation, owner: owner, records: records}); err != nil {
		return fmt.Errorf("remember stream of invocation %s: %w", invocation, err)
	}
	return nil
}

// Remembered are the records that Remember kept, in order.
func (s *Store) Remembered(ctx context.Context, invocation string) ([][]byte, error) {
	var records [][]byte
	err := s.db.Read().Query(ctx, `SELECT data FROM stream_record WHERE invocation_id = ? ORDER BY id`, []any{sqldb.CleanText(invocation)},
		func(scan sqldb.Scan) error {
			var data []byte
			if err := scan(&data); err != nil {
				return err
			}
			records = append(records, data)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read what is remembered of invocation %s: %w", invocation, err)
	}
	return records, nil
}
