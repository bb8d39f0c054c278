package registry

import (
	"context"
	"errors"
	"io"
	"sync"
)

// watchedBody is a request's body. It tells the watchdog of progress, remembers
// whether reading it failed, and lets go of its source when told to: net/http
// may go on reading a body after it has handed over the answer.
type watchedBody struct {
	watch *watchdog
	// progressed is told when something was read.
	progressed func()

	mu     sync.Mutex
	source io.ReadCloser // nil once closed
	cancel context.CancelFunc
	left   int64
	failed error
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.source == nil {
		return 0, errBodyClosed
	}
	b.watch.pause()
	n, err := b.source.Read(p)
	b.left -= int64(n)
	b.watch.progress(b.left <= 0)
	if n > 0 {
		b.progressed()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed = err
	}
	return n, err
}

var errBodyClosed = errors.New("read of a closed body")

func (b *watchedBody) Close() error {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.source == nil {
		return nil
	}
	err := b.source.Close()
	b.source = nil
	return err
}

// failure is the error of the source, once the body is closed.
func (b *watchedBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}
