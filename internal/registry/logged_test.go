package registry_test

import (
	"bytes"
	"sync"

	"github.com/rs/zerolog"
)

// logged is a log that is kept.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) logger() zerolog.Logger { return zerolog.New(l).Level(zerolog.DebugLevel) }

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
