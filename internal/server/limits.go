package server

import (
	"errors"
	"time"

	"github.com/drayage/drayage/internal/store"
)

// Limits bound what one client may use. Without a token or a certificate, an address is a
// client.
type Limits struct {
	// ClientStreams bounds the streams that are open. Defaults to 2048.
	ClientStreams int `yaml:"client_streams"`

	store.Limits `yaml:",inline"`

	// FirstEvent is how long a stream may be open before its first event. One that has sent
	// an event may be silent for as long as its build is. Defaults to 1m.
	FirstEvent time.Duration `yaml:"first_event"`
}

// defaultClientStreams is half of what all may have open.
const defaultClientStreams = 2048

func (l Limits) check() error {
	if l.ClientStreams < 1 || l.Rows < 1 || l.Pending < 1 || l.SpecBytes < 1 || l.FirstEvent <= 0 {
		return errors.New("limits: client_streams, client_rows, client_pending, client_spec_bytes and first_event must be greater than 0")
	}
	return nil
}
