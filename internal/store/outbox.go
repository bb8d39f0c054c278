package store

import (
	"context"

	"github.com/drayage/drayage/internal/outbox"
)

// What is told of outcomes, and what could not be told.
type (
	Sink            = outbox.Sink
	Event           = outbox.Event
	DeadLetter      = outbox.DeadLetter
	LetterSelection = outbox.Selection
)

// DeadLetters is [outbox.Outbox.DeadLetters].
func (s *Store) DeadLetters(ctx context.Context, sink string, after int64, limit int) ([]DeadLetter, error) {
	return s.outbox.DeadLetters(ctx, sink, after, limit)
}

// Redeliver is [outbox.Outbox.Redeliver].
func (s *Store) Redeliver(ctx context.Context, selection LetterSelection) (int, error) {
	return s.outbox.Redeliver(ctx, selection)
}
