package storetest

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb/sqldbtest"
	"github.com/drayage/drayage/internal/store"
)

// completions are a [store.Sink] that keeps what is said of invocations.
type completions struct {
	mu  sync.Mutex
	ids []string
	// arrived is told of each.
	arrived chan ledger.Completion
}

func (c *completions) Deliver(_ context.Context, event store.Event) error {
	if event.Kind != store.EventInvocation {
		return fmt.Errorf("an event of the kind %q", event.Kind)
	}
	var completion ledger.Completion
	if err := json.Unmarshal(event.Body, &completion); err != nil {
		return err
	}
	if completion.InvocationID != event.Subject || event.Posted.IsZero() {
		return errors.New("an event without a subject or a time")
	}
	c.mu.Lock()
	c.ids = append(c.ids, event.ID)
	c.mu.Unlock()
	c.arrived <- completion
	return nil
}

func (c *completions) next(t *testing.T) ledger.Completion {
	t.Helper()
	select {
	case completion := <-c.arrived:
		return completion
	case <-time.After(beginLimit):
		t.Fatal("no event came")
	}
	return ledger.Completion{}
}

// openTold opens a store that tells of invocations alone.
func openTold(t *testing.T, driver sqldbtest.Driver, options store.Options) (*store.Store, *completions) {
	t.Helper()
	told := &completions{arrived: make(chan ledger.Completion, 100)}
	options.Sinks = map[string]store.Sink{"ci": told}
	options.Events = map[string][]store.EventKind{"ci": {store.EventInvocation}}
	return Open(t, driver, options), told
}

// finish saves that an invocation has ended, with something missing.
func finish(t *testing.T, s *store.Store, id string, missing ...string) {
	t.Helper()
	i := store.Invocation{ID: id, Command: "build", ExitCode: "SUCCESS", Finished: true, Started: time.Now()}
	for _, target := range missing {
		i.Absent = append(i.Absent, store.Absent{Target: target, State: ledger.ExpectedUnbuilt})
	}
	if err := s.SaveInvocation(t.Context(), i); err != nil {
		t.Fatal(err)
	}
}

func anInvocationIsToldOfOnceWhenItIsComplete(t *testing.T, driver sqldbtest.Driver) {
	const invocations, pushes = 20, 7
	s, told := openTold(t, driver, store.Options{})
	var ending sync.WaitGroup
	for n := range invocations {
		id := fmt.Sprintf("inv%d", n)
		Enqueue(t, s, Jobs(id, pushes))
		if n%2 == 0 {
			finish(t, s, id)
		} else { // the end of the stream and that of the last push come at one time
			ending.Go(func() { finish(t, s, id) })
		}
	}
	finish(t, s, "nothing to push")
	Run(t, s, Pushed)
	ending.Wait()
	seen := map[string]bool{}
	for range invocations {
		c := told.next(t)
		if seen[c.InvocationID] || c.Sequence != 1 || c.Outcomes[ledger.Pushed] != pushes || len(c.Images) != pushes || c.ExitCode != "SUCCESS" || c.Omitted+c.Missing > 0 {
			t.Errorf("an event, after %d, is %+v", len(seen), c)
		}
		seen[c.InvocationID] = true
		if image := c.Images[0]; image.Digest == "" || image.Registry != "registry.test" || !slices.Equal(image.Tags, []string{"latest"}) || image.Entry == 0 {
			t.Errorf("an image is %+v", image)
		}
	}
	// What would come twice would have come before this.
	Enqueue(t, s, Jobs("last", 1))
	finish(t, s, "last")
	if c := told.next(t); c.InvocationID != "last" {
		t.Errorf("an event too many: %+v", c)
	}
	slices.Sort(told.ids)
	if len(slices.Compact(told.ids)) != invocations+1 {
		t.Errorf("the events are %q, want each id once", told.ids)
	}
}

func whatIsDoneAgainIsToldOfAgain(t *testing.T, driver sqldbtest.Driver) {
	s, told := openTold(t, driver, store.Options{MaxAttempts: 1})
	var mended sync.Map
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		if _, ok := mended.Load("registry"); !ok {
			return ledger.Entry{}, errors.New("the registry is on fire")
		}
		return Pushed(ctx, job, attempt)
	})
	Enqueue(t, s, Jobs("inv", 2))
	finish(t, s, "inv", "//gone:push")
	if c := told.next(t); c.Sequence != 1 || c.Outcomes[ledger.Failed] != 2 || c.Missing != 1 || c.Images[0].ErrorClass == "" {
		t.Errorf("the event is %+v", c)
	}
	mended.Store("registry", true)
	if n, _, err := s.Requeue(t.Context(), store.Selection{Invocation: "inv"}); n != 2 || err != nil {
		t.Fatalf("%d were requeued, error %v", n, err)
	}
	if c := told.next(t); c.Sequence != 2 || c.Outcomes[ledger.Pushed] != 2 || c.Outcomes[ledger.Failed] != 0 {
		t.Errorf("the event after the requeue is %+v", c)
	}
}

func anInvocationAtAGateIsToldOfWhenItsTagsAreDecided(t *testing.T, driver sqldbtest.Driver) {
	s, told := openTold(t, driver, store.Options{})
	Run(t, s, func(ctx context.Context, job store.Job, attempt store.Attempt) (ledger.Entry, error) {
		e, err := Pushed(ctx, job, attempt)
		switch release, _, _ := s.Release(ctx, job.Invocation); {
		case job.Action != store.ActionTag:
			e.Outcome, e.Gate, e.HeldTags, e.Tags = ledger.Staged, "approved", []string{path.Base(job.Target)}, nil
		case release.State == store.ReleaseClosed:
			e.Outcome, e.HeldTags, e.Tags = ledger.Withheld, []string{path.Base(job.Target)}, nil
		}
		return e, err
	})
	for _, id := range []string{"promoted", "rejected"} {
		Enqueue(t, s, Jobs(id, 2))
		finish(t, s, id)
		Settled(t, s, id, beginLimit)
	}
	if _, err := s.Promote(t.Context(), store.Decision{Invocation: "promoted", By: "ada"}); err != nil {
		t.Fatal(err)
	}
	if c := told.next(t); c.InvocationID != "promoted" || c.Outcomes[ledger.Pushed] != 2 || c.Release == nil || c.Release.State != string(store.ReleaseOpen) || c.Release.By != "ada" {
		t.Errorf("the event is %+v", c)
	}
	if _, err := s.Reject(t.Context(), store.Decision{Invocation: "rejected", By: "bob", Reason: "too slow"}); err != nil {
		t.Fatal(err)
	}
	if c := told.next(t); c.InvocationID != "rejected" || c.Outcomes[ledger.Withheld] != 2 || c.Release.Class != "rejected" || c.Release.Reason != "too slow" || len(c.Images[0].HeldTags) != 1 {
		t.Errorf("the event is %+v", c)
	}
}

func aStreamThatBrokeOffIsToldOf(t *testing.T, driver sqldbtest.Driver) {
	s, told := openTold(t, driver, store.Options{StreamLimit: 10 * time.Millisecond})
	Enqueue(t, s, Jobs("inv", 1))
	if err := s.SaveInvocation(t.Context(), store.Invocation{ID: "inv", Command: "build"}); err != nil {
		t.Fatal(err)
	}
	Run(t, s, Pushed)
	if c := told.next(t); c.BrokenOff.IsZero() || c.Outcomes[ledger.Pushed] != 1 {
		t.Errorf("the event is %+v", c)
	}
	finish(t, s, "inv") // it came back after all
	if c := told.next(t); !c.BrokenOff.IsZero() || c.Sequence != 2 {
		t.Errorf("the event after it came back is %+v", c)
	}
}

func driftIsToldOfWhereItIsWanted(t *testing.T, driver sqldbtest.Driver) {
	arrived := make(chan store.Event, 10)
	s := Open(t, driver, store.Options{
		Sinks:  map[string]store.Sink{"ci": sinkOf(arrived), "pushes": sinkOf(arrived)},
		Events: map[string][]store.EventKind{"ci": {store.EventDrift}},
	})
	Run(t, s, Pushed)
	if body, err := s.Verification(t.Context()); body != nil || err != nil {
		t.Errorf("before there is one the last comparison is %s, %v", body, err)
	}
	for _, drift := range [][]byte{nil, []byte(`{"missing":1}`)} {
		if err := s.SaveVerification(t.Context(), []byte(`{"checked":7}`), drift); err != nil {
			t.Fatal(err)
		}
	}
	if body, err := s.Verification(t.Context()); string(body) != `{"checked":7}` || err != nil {
		t.Errorf("the last comparison is %s, %v", body, err)
	}
	select {
	case event := <-arrived:
		if event.Kind != store.EventDrift || string(event.Body) != `{"missing":1}` {
			t.Errorf("the event is %s: %s", event.Kind, event.Body)
		}
	case <-time.After(beginLimit):
		t.Fatal("no event came")
	}
}

// sinkOf hands events on.
type sinkOf chan store.Event

func (s sinkOf) Deliver(_ context.Context, event store.Event) error {
	s <- event
	return nil
}
