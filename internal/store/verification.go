package store

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drayage/drayage/internal/outbox"
	"github.com/drayage/drayage/internal/sqldb"
)

// Keeping says whether this daemon is the keeper, who does what one daemon alone is to do.
func (s *Store) Keeping() bool { return s.keeping.Load() }

// Verification is what [Store.SaveVerification] kept, or nil.
func (s *Store) Verification(ctx context.Context) (jsontext.Value, error) {
	var body []byte
	if _, err := sqldb.QueryRow(ctx, s.db.Read(), `SELECT body FROM verification WHERE id = 1`, nil, &body); err != nil {
		return nil, fmt.Errorf("read the last comparison with the registries: %w", err)
	}
	return body, nil
}

// SaveVerification keeps how a comparison of the ledger with the registries stands. With
// drift, it posts that as an event in the same transaction.
func (s *Store) SaveVerification(ctx context.Context, body, drift jsontext.Value) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		if drift != nil {
			if err := s.outbox.PostMessage(ctx, tx, outbox.Drift, outbox.Message{Subject: "ledger", Body: drift}); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO verification (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body`, []byte(body))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the comparison with the registries: %w", err)
	}
	s.outbox.Wake()
	return nil
}
