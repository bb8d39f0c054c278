package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
)

const (
	// outboxSize bounds the events that are delivered at the same time.
	outboxSize = 16

	// outboxPoll is how often the outbox is looked at for events that are due.
	outboxPoll = 2 * time.Second

	// outboxAttempts is after how many failed deliveries an event is dead: with
	// outboxBackoff, after about three days.
	outboxAttempts = 50

	// outboxSlowest bounds the wait between two deliveries of one event.
	outboxSlowest = 2 * time.Hour
)

// Sink takes events about outcomes.
type Sink interface {
	// Deliver returns nil when the event has arrived. It may be asked to deliver
	// the same one again, after a crash at the wrong moment: the receiver tells
	// them apart by their ID.
	Deliver(ctx context.Context, event Event) error
}

// Event says that a push has ended.
type Event struct {
	// ID is unique in the store, and the same at each delivery.
	ID    string
	Entry ledger.Entry
}

// outboxBackoff doubles from two seconds on.
func outboxBackoff(attempts int) time.Duration {
	return min(2*time.Second<<min(attempts-1, 20), outboxSlowest)
}

// post puts events about rows into the outbox, in the rows' transaction.
func (s *Store) post(ctx context.Context, tx conn, ids []int64) error {
	var args []any
	now := micros(s.now())
	for _, name := range sinkNames(s.options.Sinks) {
		for _, id := range ids {
			args = append(args, name, id, now)
		}
	}
	if err := execMany(ctx, tx, `INSERT INTO outbox (sink, entry_id, due) VALUES `, "(?,?,?)", args, ""); err != nil {
		return fmt.Errorf("post events: %w", err)
	}
	return nil
}

// deliver empties the outbox as long as this daemon is the ledger's keeper, until
// ctx ends.
func (s *Store) deliver(ctx context.Context) {
	poll := time.NewTicker(outboxPoll)
	defer poll.Stop()
	for {
		for s.keeping.Load() {
			n, err := s.deliverDue(ctx)
			if err != nil && ctx.Err() == nil {
				s.log.Warn().Err(err).Msg("events about outcomes wait: the outbox cannot be read or written")
			}
			if err != nil || n < outboxSize {
				break
			}
		}
		select {
		case <-s.posted:
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}

// wakeDelivery says that there is something in the outbox.
func (s *Store) wakeDelivery() {
	select {
	case s.posted <- struct{}{}:
	default: // it is awake
	}
}

// letter is an event in the outbox.
type letter struct {
	id, entry int64
	sink      string
	attempts  int
	event     Event
	err       error
}

// deliverDue delivers up to outboxSize events and returns how many were due.
func (s *Store) deliverDue(ctx context.Context) (int, error) {
	var letters []*letter
	var sinks []any
	for _, name := range sinkNames(s.options.Sinks) {
		sinks = append(sinks, name)
	}
	err := s.db.read().query(ctx, `SELECT o.id, o.sink, o.entry_id, o.attempts, e.body FROM outbox o JOIN ledger_entry e ON e.id = o.entry_id
		WHERE o.state = 'waiting' AND o.due <= ? AND o.sink IN (`+values(len(sinks), "?")+`) ORDER BY o.due, o.id LIMIT `+fmt.Sprint(outboxSize),
		append([]any{micros(s.now())}, sinks...),
		func(scan func(...any) error) error {
			l := &letter{}
			var body []byte
			if err := scan(&l.id, &l.sink, &l.entry, &l.attempts, &body); err != nil {
				return err
			}
			l.event.ID = fmt.Sprintf("%s-%d", s.signer.Name(), l.id)
			l.event.Entry, l.err = ledger.Decode(body)
			l.event.Entry.ID = l.entry
			letters = append(letters, l)
			return nil
		})
	if err != nil || len(letters) == 0 {
		return 0, err
	}
	var under sync.WaitGroup
	for _, l := range letters {
		if l.err == nil {
			under.Go(func() { l.err = s.options.Sinks[l.sink].Deliver(ctx, l.event) })
		}
	}
	under.Wait()
	if ctx.Err() != nil {
		return 0, ctx.Err() // who knows what arrived; it is delivered again
	}
	return len(letters), s.db.write(ctx, func(ctx context.Context, tx conn) error { return s.delivered(ctx, tx, letters) })
}

// delivered writes down how deliveries went.
func (s *Store) delivered(ctx context.Context, tx conn, letters []*letter) error {
	now := s.now()
	for _, l := range letters {
		if l.err == nil {
			if _, err := tx.exec(ctx, `DELETE FROM outbox WHERE id = ?`, l.id); err != nil {
				return err
			}
			continue
		}
		state, level, attempts := "waiting", zerolog.WarnLevel, l.attempts+1
		if attempts >= outboxAttempts {
			state, level = "dead", zerolog.ErrorLevel
		}
		s.log.WithLevel(level).Err(l.err).Str("sink", l.sink).Int64("entry", l.entry).Int("attempt", attempts).Str("state", state).Msg("event about an outcome was not delivered")
		_, err := tx.exec(ctx, `UPDATE outbox SET attempts = ?, due = ?, state = ?, error = ? WHERE id = ?`,
			attempts, micros(now.Add(outboxBackoff(attempts))), state, cleanText(l.err.Error()), l.id)
		if err != nil {
			return err
		}
	}
	return nil
}

// checkSinks refuses names that would be lost in a log or a table.
func checkSinks(sinks map[string]Sink) error {
	for name := range sinks {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New("open store: a sink's name is visible ASCII text without spaces")
		}
	}
	return nil
}

// sinkNames are the sinks in their alphabetical order.
func sinkNames(sinks map[string]Sink) []string {
	var names []string
	for name := range sinks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
