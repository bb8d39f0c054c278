package outbox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// Sink takes events.
type Sink interface {
	// Deliver returns nil when the event has arrived. It may be asked to deliver
	// the same one again, after a crash at the wrong moment: the receiver tells
	// them apart by their ID.
	Deliver(ctx context.Context, event Event) error
}

// Kind is what events are about.
type Kind string

// The kinds.
const (
	Push       Kind = "push"       // a push has ended
	Invocation Kind = "invocation" // an invocation is complete
	Drift      Kind = "drift"      // registries do not serve what the ledger says
)

// Event says that something has happened.
type Event struct {
	// ID is unique in the ledger, and the same at each delivery.
	ID   string
	Kind Kind
	// Entry is the row of a push.
	Entry ledger.Entry
	// Message is what all other events say.
	Message
	// Posted is when a message was put into the outbox.
	Posted time.Time
}

// Message is an event that is not about a row of the ledger.
type Message struct {
	// Subject names what it is about.
	Subject string
	// Body is JSON.
	Body jsontext.Value
}

// Options are what an outbox works with.
type Options struct {
	// Sinks are told of what happens, by name. Events of a sink that is not there
	// (any more) stay in the database.
	Sinks map[string]Sink
	// Kinds are what each sink is told of. A sink that is not here is told of pushes.
	Kinds map[string][]Kind
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
	for _, name := range o.told(Push) {
		for _, e := range entries {
			args = append(args, name, e.ID, now)
		}
	}
	if err := sqldb.ExecMany(ctx, tx, sqldb.Insert{SQL: `INSERT INTO outbox (sink, entry_id, due) VALUES `, Group: "(?,?,?)", Args: args}); err != nil {
		return fmt.Errorf("post events: %w", err)
	}
	return nil
}

// PostMessage puts a message into the outbox, in a transaction. Call [Outbox.Wake] when
// that is committed.
func (o *Outbox) PostMessage(ctx context.Context, tx sqldb.Conn, kind Kind, m Message) error {
	now := sqldb.Micros(o.now())
	for _, name := range o.told(kind) {
		_, err := tx.Exec(ctx, `INSERT INTO outbox (sink, entry_id, due, posted, kind, subject, body) VALUES (?, 0, ?, ?, ?, ?, ?)`,
			name, now, now, string(kind), sqldb.CleanText(m.Subject), []byte(m.Body))
		if err != nil {
			return fmt.Errorf("post a message: %w", err)
		}
	}
	return nil
}

// Tells says whether any sink is told of a kind of events.
func (o *Outbox) Tells(kind Kind) bool { return len(o.told(kind)) > 0 }

// told are the sinks that are told of a kind of events.
func (o *Outbox) told(kind Kind) []string {
	var names []string
	for _, name := range o.names {
		kinds, set := o.options.Kinds[name]
		if !set && kind == Push || slices.Contains(kinds, kind) {
			names = append(names, name)
		}
	}
	return names
}

// Wake says that there is something in the outbox.
func (o *Outbox) Wake() {
	select {
	case o.posted <- struct{}{}:
	default: // it is awake
	}
}
