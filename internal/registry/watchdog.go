package registry

import (
	"errors"
	"time"
)

var errNoProgress = errors.New("no progress for too long")

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
