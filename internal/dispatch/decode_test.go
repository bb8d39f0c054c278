package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/cas"
	"github.com/drayage/drayage/internal/dispatch"
	"github.com/drayage/drayage/internal/haul"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

// marks are the marks of decodes.
type marks struct {
	deaths int
	failed error
	calls  []string
}

func (m *marks) DecodeDeaths(context.Context, store.Attempt) (int, error) { return m.deaths, m.failed }

func (m *marks) BeginDecode(context.Context, store.Attempt) error {
	m.calls = append(m.calls, "begin")
	return nil
}

func (m *marks) EndDecode(context.Context, store.Attempt) error {
	m.calls = append(m.calls, "end")
	return nil
}

// ofSize is a spec of at least so many bytes.
func ofSize(t *testing.T, size int) []byte {
	t.Helper()
	data, _ := spec(t, "latest")
	return append(data, strings.Repeat(" ", max(0, size-len(data)))...)
}

func TestDecodesOfLargeSpecsAreMarkedForAsLongAsTheyLast(t *testing.T) {
	broken := ofSize(t, 1<<20)
	broken[0] = '['
	for _, row := range []struct {
		name  string
		spec  []byte
		class string
		want  string
	}{
		{"a small one", ofSize(t, 0), "", "[]"},
		{"a large one", ofSize(t, 1<<20), "", "[begin end]"},
		{"one that is none", broken, "malformed", "[begin end]"},
	} {
		w, _ := newWorld(t, "latest")
		w.spec, w.decodes = row.spec, &marks{deaths: 2}
		entry, err := w.work(t, 1)
		if err != nil || entry.ErrorClass != row.class || fmt.Sprint(w.decodes.calls) != row.want {
			t.Errorf("%s: %v, class %q, marks %v; want class %q, marks %s", row.name, err, entry.ErrorClass, w.decodes.calls, row.class, row.want)
		}
	}
}

func TestASpecThatDaemonsDiedOfIsNotDecodedAgain(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.spec, w.decodes = ofSize(t, 1<<20), &marks{deaths: 3}
	entry, err := w.work(t, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := "push //app:push: the daemon died 3 times while it decoded the push spec, so it does not decode it any more: " +
		"look at the daemon's log and at its memory limit; `drayage jobs requeue` tries again"
	if entry.Outcome != ledger.Failed || entry.ErrorClass != "crashed" || entry.Error != want || len(w.decodes.calls) > 0 {
		t.Errorf("the row is %s, %s, %q, and the marks %v", entry.Outcome, entry.ErrorClass, entry.Error, w.decodes.calls)
	}
}

func TestADecodeWaitsForTheStoreThatMarksIt(t *testing.T) {
	w, _ := newWorld(t, "latest")
	w.spec, w.decodes = ofSize(t, 1<<20), &marks{failed: errors.New("the database is away")}
	_, err := w.work(t, 1)
	if _, ok := errors.AsType[*store.RetryError](err); !ok || !strings.Contains(err.Error(), "the database is away") {
		t.Errorf("error is %v, want one after which it is tried again", err)
	}
}

// holding is a hauler at which every haul stays until it is let go.
type holding struct {
	*world
	hauling chan struct{}
	letGo   chan struct{}
}

func (h *holding) Haul(context.Context, haul.Request) (haul.Result, error) {
	h.hauling <- struct{}{}
	<-h.letGo
	return haul.Result{}, &haul.Error{Class: haul.Denied, Text: "no"}
}

func (h *holding) ReadAll(_ context.Context, blob cas.Blob) ([]byte, error) {
	return append([]byte(nil), h.spec[:blob.Size]...), nil
}

// However many workers there are, and whatever builds send.
func TestLargeSpecsAreReadOnlyWhileThereIsRoomForThem(t *testing.T) {
	w, _ := newWorld(t, "latest")
	h := &holding{world: w, hauling: make(chan struct{}), letGo: make(chan struct{})}
	small := len(ofSize(t, 0))
	w.spec = ofSize(t, pushspec.MaxSize)
	worker := dispatch.NewWorker(dispatch.WorkerOptions{
		Specs: h, Hauler: h, Invocations: w, Releases: w, Tags: w, Blobs: w, Policy: w, Workers: 16, Logger: zerolog.Nop(),
	})
	work := func(size int) error {
		job := store.Job{Invocation: "invocation", Target: "//app:push", Spec: store.SpecRef{Function: "sha256", Hash: "00", Size: int64(size)}}
		_, err := worker.Work(t.Context(), job, store.Attempt{Number: 1, Max: 10})
		return err
	}
	postponed := func(size int) bool {
		_, is := errors.AsType[*store.PostponeError](work(size))
		return is
	}
	var running sync.WaitGroup
	running.Go(func() { _ = work(pushspec.MaxSize) })
	<-h.hauling
	if !postponed(pushspec.MaxSize) {
		t.Error("a second spec of the greatest size is read beside the first")
	}
	running.Go(func() { _ = work(small) })
	<-h.hauling // the small one has room
	close(h.letGo)
	running.Wait()

	h.letGo = make(chan struct{})
	close(h.letGo)
	running.Go(func() { <-h.hauling })
	if postponed(pushspec.MaxSize) {
		t.Error("a spec finds no room after those before it are let go")
	}
	running.Wait()
}
