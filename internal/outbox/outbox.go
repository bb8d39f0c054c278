package outbox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
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
	// ID is unique in the ledger, and the same at each delivery.
	ID    string
	Entry ledger.Entry
}

// Options are what an outbox works with.
type Options struct {
	// Sinks are told of every outcome, by name. Events of a sink that is not there
	// (any more) stay in the database.
	Sinks map[string]Sink
	// Origin begins the ID of each event: the name of the ledger's log.
	Origin string
	// Clock says what time it is. Defaults to time.Now.
	Clock  func() time.Time
	Logger zerolog.Logger
}

// Outbox keeps events in a database until they are delivered.
type Outbox struct {
	db      sqldb.DB
	options Options
	now     func() time.Time
	names   []string // of the sinks, in alphabetical order
	// posted is told when there is something to deliver.
	posted chan struct{}
}

// New makes an outbox.
func New(db sqldb.DB, options Options) (*Outbox, error) {
	for name := range options.Sinks {
		// Others would be lost in a log or a table.
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("the name %q of a sink must be visible ASCII text without spaces", name)
		}
	}
	if options.Clock == nil {
		options.Clock = time.Now
	}
	return &Outbox{
		db: db, options: options, now: options.Clock,
		names: slices.Sorted(maps.Keys(options.Sinks)), posted: make(chan struct{}, 1),
	}, nil
}

// Post puts events about rows into the outbox, in the rows' transaction. Call
// [Outbox.Wake] when that is committed.
func (o *Outbox) Post(ctx context.Context, tx sqldb.Conn, entries []ledger.Entry) error {
	var args []any
	now := sqldb.Micros(o.now())
	for _, name := range o.names {
		for _, e := range entries {
			args = append(args, name, e.ID, now)
		}
	}
	if err := sqldb.ExecMany(ctx, tx, sqldb.Insert{SQL: `INSERT INTO outbox (sink, entry_id, due) VALUES `, Group: "(?,?,?)", Args: args}); err != nil {
		return fmt.Errorf("post events: %w", err)
	}
	return nil
}

// Wake says that there is something in the outbox.
func (o *Outbox) Wake() {
	select {
	case o.posted <- struct{}{}:
	default: // it is awake
	}
}
