package outbox

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/ledgerlog"
	"github.com/drayage/drayage/internal/sqldb"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

// inbox is a [Sink] that may refuse.
type inbox struct {
	mu      sync.Mutex
	refuse  error
	arrived map[string]int
}

func newInbox() *inbox { return &inbox{arrived: map[string]int{}} }

func (i *inbox) Deliver(_ context.Context, event Event) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.refuse != nil {
		return i.refuse
	}
	i.arrived[event.ID+" "+event.Entry.Target]++
	return nil
}

func (i *inbox) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.arrived)
}

func TestMain(m *testing.M) { sqldbtest.Main(m) }

// outboxOf is an outbox on a new database, with an event about one row in it.
func outboxOf(t *testing.T, driver sqldbtest.Driver, options Options) *Outbox {
	t.Helper()
	db := driver.Open(t, sqldb.Options{})
	o, err := New(db, options)
	if err != nil {
		t.Fatal(err)
	}
	log, err := ledgerlog.Open(t.Context(), db, ledgerlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(ctx context.Context, tx sqldb.Conn) error {
		rows, err := log.Append(ctx, tx, []ledger.Entry{{Job: 1, Target: "//a", Outcome: ledger.Pushed}})
		if err != nil {
			return err
		}
		return o.Post(ctx, tx, rows)
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAnEventThatIsRefusedComesAgainAndDiesInTheEnd(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		box := newInbox()
		box.refuse = errors.New("503 Service Unavailable")
		o := outboxOf(t, driver, Options{Clock: func() time.Time { return now }, Sinks: map[string]Sink{"ci": box}})
		deliver := func(want int) {
			t.Helper()
			if n, err := o.deliverDue(t.Context()); err != nil || n != want {
				t.Fatalf("%d events were due, error %v; want %d", n, err, want)
			}
		}
		for attempt := range maxAttempts {
			deliver(1)
			deliver(0) // not due any more
			now = now.Add(backoff(attempt + 1))
		}
		dead, err := o.DeadLetters(t.Context(), "ci", 0, 10)
		if err != nil || len(dead) != 1 || dead[0].Sink != "ci" || dead[0].Attempts != maxAttempts || dead[0].Error != "503 Service Unavailable" {
			t.Fatalf("dead letters = %+v, error %v", dead, err)
		}
		deliver(0)
		for name, none := range map[string]func() ([]DeadLetter, error){
			"of another sink": func() ([]DeadLetter, error) { return o.DeadLetters(t.Context(), "other", 0, 10) },
			"after the last":  func() ([]DeadLetter, error) { return o.DeadLetters(t.Context(), "", dead[0].ID, 10) },
		} {
			if list, err := none(); err != nil || len(list) != 0 {
				t.Errorf("%d dead letters %s, error %v", len(list), name, err)
			}
		}

		box.refuse = nil
		if _, err := o.Redeliver(t.Context(), Selection{}); err == nil {
			t.Error("an empty selection was taken for all")
		}
		for _, other := range []Selection{{IDs: []int64{dead[0].ID + 1}}, {Sink: "other"}, {IDs: []int64{dead[0].ID}, Sink: "other"}} {
			if n, err := o.Redeliver(t.Context(), other); err != nil || n != 0 {
				t.Errorf("redelivers %d of %+v, error %v", n, other, err)
			}
		}
		if n, err := o.Redeliver(t.Context(), Selection{IDs: []int64{dead[0].ID}}); err != nil || n != 1 {
			t.Fatalf("redelivers %d, error %v", n, err)
		}
		deliver(1)
		deliver(0)
		if box.count() != 1 {
			t.Errorf("%d events arrived, want 1", box.count())
		}
	})
}

func TestAnEventWhoseDeliveryWasCutOffComesAgain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		ctx, cancel := context.WithCancel(t.Context())
		o := outboxOf(t, driver, Options{Sinks: map[string]Sink{"ci": sinkFunc(func(context.Context, Event) error {
			cancel() // the daemon dies when the event has arrived, and has not written that down
			return nil
		})}})
		if _, err := o.deliverDue(ctx); err == nil {
			t.Fatal("no error")
		}
		if n, err := o.deliverDue(t.Context()); err != nil || n != 1 {
			t.Errorf("%d events were due, error %v; want the same one", n, err)
		}
	})
}

type sinkFunc func(context.Context, Event) error

func (f sinkFunc) Deliver(ctx context.Context, event Event) error { return f(ctx, event) }

func TestASinksNameMustBeAWordThatALogCanHold(t *testing.T) {
	for _, name := range []string{"", "two words", "zürich"} {
		if _, err := New(nil, Options{Sinks: map[string]Sink{name: newInbox()}}); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
}
