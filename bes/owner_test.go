package bes_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/drayage/drayage/bes"
	"github.com/drayage/drayage/bes/bestest"
)

// roll notes who begins a stream, and who each event is taken to be of.
type roll struct {
	mu            sync.Mutex
	begun, events []string
}

func (r *roll) Begin(_ context.Context, stream bes.Stream) bes.Observation {
	r.mu.Lock()
	defer r.mu.Unlock()
	who := stream.Metadata["who"][0]
	r.begun = append(r.begun, who)
	return entered{r, who}
}

type entered struct {
	roll *roll
	who  string
}

func (e entered) Observe(bes.Event) func(context.Context) error {
	e.roll.mu.Lock()
	defer e.roll.mu.Unlock()
	e.roll.events = append(e.roll.events, e.who)
	return nil
}

func (entered) End(error) {}

func TestNobodyGoesOnWithAnotherOwnersStream(t *testing.T) {
	var observed roll
	r := startRelay(t, bes.Config{
		Observer: &observed, ObserveHeaders: []string{"who"},
		Owner: func(stream bes.Stream) string { return stream.Metadata["who"][0] },
	})
	for _, who := range []string{"ann", "ann", "bob"} {
		bazel := &bestest.Bazel{
			Target: r.target, BuildID: "build", InvocationID: "invocation", Events: someEvents(2),
			RetryDelay: 10 * time.Millisecond, Header: metadata.Pairs("who", who),
		}
		wantExit(t, bazel.Run(testContext(t)), bestest.ExitOK)
	}
	observed.mu.Lock()
	defer observed.mu.Unlock()
	// What ann sends again is known; what bob sends is his own.
	if want := []string{"ann", "bob"}; !slices.Equal(observed.begun, want) {
		t.Errorf("streams were begun by %q, want %q", observed.begun, want)
	}
	if want := []string{"ann", "ann", "ann", "bob", "bob", "bob"}; !slices.Equal(observed.events, want) {
		t.Errorf("events are of %q, want %q", observed.events, want)
	}
}
