package registry

import (
	"context"
	"errors"
	"io"
	"net/url"
	"sync"
	"time"
)

// watchdog ends a request that makes no progress.
type watchdog struct {
	idle, answer time.Duration
	timer        *time.Timer
}

func newWatchdog(idle, answer time.Duration, end func()) *watchdog {
	return &watchdog{idle: idle, answer: answer, timer: time.AfterFunc(idle, end)}
}

// progress notes that bytes moved. Once the last one has, it is the registry's
// turn.
func (w *watchdog) progress(last bool) {
	if last {
		w.timer.Reset(w.answer)
		return
	}
	w.timer.Reset(w.idle)
}

// pause is for the time in which the bytes' source makes us wait: that is not the
// registry's, and the source is watched by whoever reads it.
func (w *watchdog) pause() { w.timer.Stop() }

func (w *watchdog) stop() { w.timer.Stop() }

// watchedBody is a request's body. It tells the watchdog of progress, remembers
// whether reading it failed, and lets go of its source when told to: net/http
// may go on reading a body after it has handed over the answer.
type watchedBody struct {
	watch *watchdog
	// progress is told of what is read.
	progress func()

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
		b.progress()
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

// answerBody keeps a request's context until its answer is read.
type answerBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// unwrapURL takes the method and address off an error of net/http: they may hold
// what should not be logged, an upload's signed query say.
func unwrapURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
