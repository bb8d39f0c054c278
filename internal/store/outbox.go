package store

import (
	"context"

	"github.com/drayage/drayage/internal/outbox"
)

// Sink takes events.
type Sink = outbox.Sink

// Event says that something has happened.
type Event = outbox.Event

// EventKind is what events are about.
type EventKind = outbox.Kind

// The kinds.
const (
	EventPush       = outbox.Push
	EventInvocation = outbox.Invocation
	EventDrift      = outbox.Drift
)

// DeadLetter is an event that could not be delivered.
type DeadLetter = outbox.DeadLetter

// LetterSelection says which dead letters are meant.
type LetterSelection = outbox.Selection

// DeadLetters is [outbox.Outbox.DeadLetters].
func (s *Store) DeadLetters(ctx context.Context, sink string, after int64, limit int) ([]DeadLetter, error) {
	return s.outbox.DeadLetters(ctx, sink, after, limit)
}

// Redeliver is [outbox.Outbox.Redeliver].
func (s *Store) Redeliver(ctx context.Context, selection LetterSelection) (int, error) {
	return s.outbox.Redeliver(ctx, selection)
}
