package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
)

// inbox is a [Sink] that counts what arrives.
type inbox struct {
	mu      sync.Mutex
	arrived map[string]int
	told    chan struct{}
}

func newInbox() *inbox { return &inbox{arrived: map[string]int{}, told: make(chan struct{}, 1000)} }

func (i *inbox) Deliver(_ context.Context, event Event) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.arrived[event.ID+" "+event.Entry.Target]++
	i.told <- struct{}{}
	return nil
}

func (i *inbox) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.arrived)
}

func TestEveryOutcomeIsToldOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		first, second := newInbox(), newInbox()
		s := open(t, driver, Options{Sinks: map[string]Sink{"first": first, "second": second}})
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

func TestTheRunSealsWhatItDoes(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, driver sqldbtest.Driver) {
		s := open(t, driver, Options{})
		enqueue(t, s, jobs("inv", 20))
		stop := run(t, s, pushed)
		settledWithin(t, s, "inv", 10*time.Second)
		proofs, err := s.Prove(t.Context(), "sha256://app:push7")
		if err != nil || len(proofs) != 1 {
			t.Fatalf("%d proofs, error %v", len(proofs), err)
		}
		stop()
		if report := verify(t, s); report.Rows != 20 || len(report.Problems) > 0 {
			t.Errorf("%+v, want 20 rows and no problem", report)
		}
	})
}
