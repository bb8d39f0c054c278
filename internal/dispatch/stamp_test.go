package dispatch_test

import (
	"errors"
	"testing"
	"time"

	"github.com/drayage/drayage/internal/store"
)

func TestJobWaitsForTheWorkspaceStatusOfAStreamThatGoesOn(t *testing.T) {
	w, _ := newWorld(t, "{BUILD_SCM_REVISION}")
	w.invocation.Finished, w.invocation.Status = false, nil
	isPostponed := func(err error) bool {
		_, ok := errors.AsType[*store.PostponeError](err)
		return ok
	}
	if _, err := w.work(t, 1); !isPostponed(err) {
		t.Errorf("error is %v, want to be postponed", err)
	}
	began := w.now
	w.now = began.Add(2 * time.Hour) // the client was killed, and its stream never ends
	if got, err := w.work(t, 1); err != nil || got.ErrorClass != "stamp" {
		t.Errorf("entry is %+v, error %v", got, err)
	}
	// Two daemons write side by side: a job can be there before its build is.
	w.invocation, w.created = store.Invocation{}, w.now.Add(-time.Second)
	if _, err := w.work(t, 1); !isPostponed(err) {
		t.Errorf("before its build is stored, the error is %v, want to be postponed", err)
	}
}
