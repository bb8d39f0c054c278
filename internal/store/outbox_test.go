package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/ledger"
)

// inbox is a [Sink] that may refuse.
type inbox struct {
	mu      sync.Mutex
	refuse  error
	arrived map[string]int
	told    chan struct{}
}

func newInbox() *inbox { return &inbox{arrived: map[string]int{}, told: make(chan struct{}, 1000)} }

func (i *inbox) Deliver(_ context.Context, event Event) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	defer func() { i.told <- struct{}{} }()
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

func TestEveryOutcomeIsToldOnce(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		first, second := newInbox(), newInbox()
		s := db.open(t, Options{Sinks: map[string]Sink{"first": first, "second": second}})
		enqueue(t, s, jobs("inv", 40))
		run(t, s, pushed)
		settledWithin(t, s, "inv", 10*time.Second)
		deadline := time.After(20 * time.Second)
		for first.count() < 40 || second.count() < 40 {
			select {
			case <-first.told:
			case <-second.told:
			case <-deadline:
				t.Fatalf("%d and %d events arrived, want 40 each", first.count(), second.count())
			}
		}
		for id, n := range first.arrived {
			if n != 1 {
				t.Errorf("%s arrived %d times", id, n)
			}
		}
	})
}

func TestAnEventThatIsRefusedComesAgainAndDiesInTheEnd(t *testing.T) {
	onEach(t, func(t *testing.T, db place) {
		now := monday
		box := newInbox()
		box.refuse = errors.New("503 Service Unavailable")
		s := db.open(t, Options{Clock: func() time.Time { return now }, Sinks: map[string]Sink{"ci": box}})
		written(t, s, ledger.Entry{Target: "//a", Outcome: ledger.Pushed})
		deliver := func(want int) {
			t.Helper()
			if n, err := s.deliverDue(t.Context()); err != nil || n != want {
				t.Fatalf("%d events were due, error %v; want %d", n, err, want)
			}
		}
		for attempt := range outboxAttempts {
			deliver(1)
			deliver(0) // not due any more
			now = now.Add(outboxBackoff(attempt + 1))
		}
		dead, err := s.DeadLetters(t.Context(), "ci", 0, 10)
		if err != nil || len(dead) != 1 || dead[0].Sink != "ci" || dead[0].Attempts != outboxAttempts || dead[0].Error != "503 Service Unavailable" {
			t.Fatalf("dead letters = %+v, error %v", dead, err)
		}
		deliver(0)
		for name, none := range map[string]func() ([]DeadLetter, error){
			"of another sink": func() ([]DeadLetter, error) { return s.DeadLetters(t.Context(), "other", 0, 10) },
			"after the last":  func() ([]DeadLetter, error) { return s.DeadLetters(t.Context(), "", dead[0].ID, 10) },
		} {
			if list, err := none(); err != nil || len(list) != 0 {
				t.Errorf("%d dead letters %s, error %v", len(list), name, err)
			}
		}

		box.refuse = nil
		if _, err := s.Redeliver(t.Context(), LetterSelection{}); err == nil {
			t.Error("an empty selection was taken for all")
		}
		for _, other := range []LetterSelection{{IDs: []int64{dead[0].ID + 1}}, {Sink: "other"}, {IDs: []int64{dead[0].ID}, Sink: "other"}} {
			if n, err := s.Redeliver(t.Context(), other); err != nil || n != 0 {
				t.Errorf("redelivers %d of %+v, error %v", n, other, err)
			}
		}
		if n, err := s.Redeliver(t.Context(), LetterSelection{IDs: []int64{dead[0].ID}}); err != nil || n != 1 {
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
	onEach(t, func(t *testing.T, db place) {
		url := db.url(t)
		ctx, cancel := context.WithCancel(t.Context())
		s := db.openAt(t, url, Options{Sinks: map[string]Sink{"ci": sinkFunc(func(context.Context, Event) error {
			cancel() // the daemon dies when the event has arrived, and has not written that down
			return nil
		})}})
		written(t, s, ledger.Entry{Target: "//a", Outcome: ledger.Pushed})
		if _, err := s.deliverDue(ctx); err == nil {
			t.Fatal("no error")
		}
		if n, err := s.deliverDue(t.Context()); err != nil || n != 1 {
			t.Errorf("%d events were due, error %v; want the same one", n, err)
		}
	})
}

type sinkFunc func(context.Context, Event) error

func (f sinkFunc) Deliver(ctx context.Context, event Event) error { return f(ctx, event) }
