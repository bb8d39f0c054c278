package store

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/ledger"
)

// Compare sets the rows of two invocations against each other.
func (s *Store) Compare(ctx context.Context, before, after string) ([]ledger.Difference, error) {
	var rows [2][]ledger.Entry
	for i, invocation := range []string{before, after} {
		query := ledger.Query{Invocation: invocation, Limit: ledger.MaxLimit}
		for {
			page, err := s.Entries(ctx, query)
			if err != nil {
				return nil, fmt.Errorf("compare invocations: %w", err)
			}
			rows[i] = append(rows[i], page...)
			if len(page) < query.Limit {
				break
			}
			query.Before = page[len(page)-1].ID
		}
	}
	return ledger.Compare(rows[0], rows[1]), nil
}
