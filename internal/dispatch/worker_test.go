package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/store"
)

func TestWorkerThatHasLostItsJobSaysNothing(t *testing.T) {
	w, _ := newWorld(t, "latest")
	for _, claimErr := range []error{store.ErrLost, &store.PostponeError{After: time.Second}} {
		w.claimErr = claimErr
		if _, err := w.work(t, 10); !errors.Is(err, claimErr) {
			t.Errorf("error is %v, want %v", err, claimErr)
		}
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
