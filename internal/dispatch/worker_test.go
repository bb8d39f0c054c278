package dispatch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/store"
)

func TestWorkerThatHasLostItsJobSaysNothing(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.claimErr = store.ErrLost
	if _, err := w.work(t, 10); !errors.Is(err, store.ErrLost) {
		t.Errorf("error is %v, want %v", err, store.ErrLost)
	}
}

func TestStopOfTheDaemonIsNoFailure(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.haulErr = context.Canceled
	worker := dispatch.NewWorker(dispatch.WorkerOptions{Specs: w, Hauler: w, Invocations: w, Tags: w, Blobs: w, Policy: w, Logger: zerolog.Nop()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := worker.Work(ctx, store.Job{Spec: store.SpecRef{Inline: w.spec}}, store.Attempt{Number: 10, Max: 10})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
