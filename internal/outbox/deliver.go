package outbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/ledgerlog"
	"github.com/drayage/drayage/internal/sqldb"
)

const (
	// deliverySize bounds the events that are delivered at the same time.
	deliverySize = 16

	// pollInterval is how often the outbox is looked at for events that are due.
	pollInterval = 2 * time.Second

	// maxAttempts is after how many failed deliveries an event is dead: with
	// backoff, after about three days.
	maxAttempts = 50

	// maxBackoff bounds the wait between two deliveries of one event.
	maxBackoff = 2 * time.Hour
)

// backoff doubles from two seconds on.
func backoff(attempts int) time.Duration {
	return min(2*time.Second<<min(attempts-1, 20), maxBackoff)
}

// Deliver empties the outbox until ctx ends, whenever mine says that it is this
// daemon's to empty.
func (o *Outbox) Deliver(ctx context.Context, mine func() bool) {
	if len(o.names) == 0 {
		return
	}
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		for mine() {
			n, err := o.deliverDue(ctx)
			if err != nil && ctx.Err() == nil {
				o.options.Logger.Warn().Err(err).Msg("cannot read or write the outbox; events wait")
			}
			if err != nil || n < deliverySize {
				break
			}
		}
		select {
		case <-o.posted:
		case <-poll.C:
		case <-ctx.Done():
			return
		}
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

// deliverDue delivers up to deliverySize events and returns how many were due.
func (o *Outbox) deliverDue(ctx context.Context) (int, error) {
	var letters []*letter
	var sinks []any
	for _, name := range o.names {
		sinks = append(sinks, name)
	}
	err := o.db.Read().Query(ctx, `SELECT o.id, o.sink, o.entry_id, o.attempts, o.kind, o.subject, o.posted, COALESCE(o.body, e.body) FROM outbox o
		LEFT JOIN ledger_entry e ON e.id = o.entry_id
		WHERE o.state = 'waiting' AND o.due <= ? AND o.sink IN (`+sqldb.Values(len(sinks), "?")+`) ORDER BY o.due, o.id LIMIT `+fmt.Sprint(deliverySize),
		append([]any{sqldb.Micros(o.now())}, sinks...),
		func(scan sqldb.Scan) error {
			l := &letter{}
			var body []byte
			var posted int64
			if err := scan(&l.id, &l.sink, &l.entry, &l.attempts, &l.event.Kind, &l.event.Subject, &posted, &body); err != nil {
				return err
			}
			l.event.ID = fmt.Sprintf("%s-%d", o.options.Origin, l.id)
			if l.event.Kind == Push {
				l.event.Entry, l.err = ledger.Decode(body)
				l.event.Entry.ID = l.entry
			} else {
				l.event.Body, l.event.Posted = body, sqldb.FromMicros(posted)
			}
			letters = append(letters, l)
			return nil
		})
	if err != nil || len(letters) == 0 {
		return 0, err
	}
	var rows []*ledger.Entry
	for _, l := range letters {
		rows = append(rows, &l.event.Entry)
	}
	if err := ledgerlog.AttachMetadata(ctx, o.db.Read(), rows...); err != nil {
		return 0, err
	}
	var under sync.WaitGroup
	for _, l := range letters {
		if l.err == nil {
			under.Go(func() { l.err = o.options.Sinks[l.sink].Deliver(ctx, l.event) })
		}
	}
	under.Wait()
	if ctx.Err() != nil {
		return 0, ctx.Err() // who knows what arrived; it is delivered again
	}
	return len(letters), o.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error { return o.delivered(ctx, tx, letters) })
}

// delivered writes down how deliveries went.
func (o *Outbox) delivered(ctx context.Context, tx sqldb.Conn, letters []*letter) error {
	now := o.now()
	for _, l := range letters {
		if l.err == nil {
			if _, err := tx.Exec(ctx, `DELETE FROM outbox WHERE id = ?`, l.id); err != nil {
				return err
			}
			continue
		}
		state, level, attempts := "waiting", zerolog.WarnLevel, l.attempts+1
		if attempts >= maxAttempts {
			state, level = "dead", zerolog.ErrorLevel
		}
		o.options.Logger.WithLevel(level).Err(l.err).Str("sink", l.sink).Str("kind", string(l.event.Kind)).Int64("entry", l.entry).Int("attempt", attempts).Str("state", state).Msg("cannot deliver an event")
		_, err := tx.Exec(ctx, `UPDATE outbox SET attempts = ?, due = ?, state = ?, error = ? WHERE id = ?`,
			attempts, sqldb.Micros(now.Add(backoff(attempts))), state, sqldb.CleanText(l.err.Error()), l.id)
		if err != nil {
			return err
		}
	}
	return nil
}
