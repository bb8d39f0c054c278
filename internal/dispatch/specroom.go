package dispatch

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
)

const (
	// smallSpec is the largest spec that is read without being counted, in bytes: each
	// worker may hold one. Nearly every spec is smaller.
	smallSpec = 1 << 20

	// specMemory bounds what larger specs, and decodes of all specs, take of all workers
	// together, in bytes.
	specMemory = 128 << 20
)

// specRoom bounds the memory of all workers' specs together, whatever builds send. A
// spec is held while its run lasts, and takes more while it is decoded.
type specRoom struct {
	held *semaphore.Weighted
	// decoding has room for one of the largest, or for several of the usual size.
	decoding *semaphore.Weighted
}

// decodeMemory is what the largest decode takes.
var decodeMemory = pushspec.DecodeMemory(pushspec.MaxSize)

func newSpecRoom() *specRoom {
	return &specRoom{held: semaphore.NewWeighted(specMemory - decodeMemory), decoding: semaphore.NewWeighted(decodeMemory)}
}

// hold makes room for a spec of size bytes, until it is let go. If there is none the job
// comes again later: its worker is of use to jobs whose specs are small.
func (s *specRoom) hold(size int64) error {
	if size > smallSpec && !s.held.TryAcquire(size) {
		return &store.PostponeError{After: pause()}
	}
	return nil
}

// letGo is the end of hold.
func (r *run) letGo() {
	if r.held > smallSpec {
		r.worker.specs.held.Release(r.held)
	}
}

// beginDecode waits for the memory that a decode of size bytes takes. Alone means that
// nothing else is decoded meanwhile.
func (s *specRoom) beginDecode(ctx context.Context, size int64, alone bool) (end func(), err error) {
	memory := decodeMemory
	if !alone {
		memory = min(memory, pushspec.DecodeMemory(size))
	}
	if err := s.decoding.Acquire(ctx, memory); err != nil {
		return nil, err //nolint:wrapcheck // the context's
	}
	return func() { s.decoding.Release(memory) }, nil
}
