package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// inbox is a [store.Sink] that counts what arrives.
type inbox struct {
	mu      sync.Mutex
	arrived map[string]int
	told    chan struct{}
}

func newInbox() *inbox { return &inbox{arrived: map[string]int{}, told: make(chan struct{}, 1000)} }

func (i *inbox) Deliver(_ context.Context, event store.Event) error {
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

func everyOutcomeIsToldOnce(t *testing.T, driver sqldbtest.Driver) {
	first, second := newInbox(), newInbox()
	s := Open(t, driver, store.Options{Sinks: map[string]store.Sink{"first": first, "second": second}})
	Enqueue(t, s, Jobs("inv", 40))
	Run(t, s, Pushed)
	Settled(t, s, "inv", 10*time.Second)
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
}

func theRunSealsWhatItDoes(t *testing.T, driver sqldbtest.Driver) {
	s := Open(t, driver, store.Options{})
	Enqueue(t, s, Jobs("inv", 20))
	stop := Run(t, s, Pushed)
	Settled(t, s, "inv", 10*time.Second)
	proofs, err := s.Prove(t.Context(), "sha256://app:push7")
	if err != nil || len(proofs) != 1 {
		t.Fatalf("%d proofs, error %v", len(proofs), err)
	}
	stop()
	if report := Verify(t, s); report.Rows != 20 || len(report.Problems) > 0 {
		t.Errorf("%+v, want 20 rows and no problem", report)
	}
}
