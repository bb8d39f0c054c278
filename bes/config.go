package bes

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Config is what a [Service] is made of. Its zero value acknowledges every event
// and forwards none.
type Config struct {
	// Backends receive every event. Defaults to none.
	Backends []Backend

	// Listen are the addresses that this process serves on, HOST:PORT or unix:PATH. A
	// backend that is one of them is refused.
	Listen []string

	// Observer is told of every event. Defaults to nobody.
	Observer Observer

	// ObserveHeaders are the names of request headers that [Stream.Metadata] holds.
	// Defaults to none.
	ObserveHeaders []string

	// Owner names who a stream belongs to, by what the client has proved. Nobody can
	// continue a stream of another owner by naming its invocation. Defaults to the name
	// in the certificate.
	Owner func(Stream) string

	// MaxStreams is how many streams may be open at a time. One more is ended
	// RESOURCE_EXHAUSTED, which Bazel retries. Defaults to [DefaultMaxStreams].
	MaxStreams int

	// MaxClientStreams is how many of them one client may have open, and Client names who
	// sends a stream: of its description only what the call tells is known then. One more is
	// ended RESOURCE_EXHAUSTED. Defaults to MaxStreams, and to the client's host.
	MaxClientStreams int
	Client           func(Stream) string

	// Refused is told of every stream that is refused since too many are open: of all
	// clients, or of this one. Defaults to nobody.
	Refused func(client string, own bool)

	// Linger is how long an invocation is remembered after its stream ended: what Bazel
	// sends again within that time is recognised. Defaults to [DefaultLinger].
	Linger time.Duration

	// FirstMessage is how long a stream may be open before its first message.
	// Defaults to [DefaultFirstMessage].
	FirstMessage time.Duration

	// FinishGrace is how long to wait for a backend that keeps its stream open after
	// everything is acknowledged. Defaults to [DefaultFinishGrace].
	FinishGrace time.Duration

	// DeliverTimeout is how long a best-effort backend may take for the rest once Bazel
	// has sent everything. Defaults to [DefaultDeliverTimeout].
	DeliverTimeout time.Duration

	// LifecycleTimeout bounds a lifecycle call to a backend. Bazel gives up after
	// 15 s. Defaults to [DefaultLifecycleTimeout].
	LifecycleTimeout time.Duration

	// ReplayBytes bounds what one stream keeps in memory for one best-effort
	// backend. Defaults to [DefaultReplayBytes].
	ReplayBytes int64

	// ReplayBytesTotal bounds what all streams keep together. Defaults to
	// [DefaultReplayBytesTotal].
	ReplayBytesTotal int64

	// SpoolDir is a directory on disk for messages to best-effort backends beyond half
	// of ReplayBytes. They are encrypted with a key that ends with the process. Defaults
	// to none: nothing is written.
	SpoolDir string

	// SpoolBytes bounds what all streams keep in SpoolDir. Defaults to
	// [DefaultSpoolBytes].
	SpoolBytes int64

	// Metrics registers the service's metrics. Nil means that none are kept.
	Metrics prometheus.Registerer

	// Logger defaults to none.
	Logger zerolog.Logger
}

const (
	// DefaultMaxStreams is there to bound memory: the network of one machine carries
	// fewer Bazels.
	DefaultMaxStreams = 4096

	// DefaultLinger outlasts Bazel's retries, which go on for some 10 s without
	// progress.
	DefaultLinger = 2 * time.Minute

	// DefaultFirstMessage is far more than Bazel takes.
	DefaultFirstMessage = time.Minute

	// DefaultFinishGrace is what a build waits for a backend that never closes its
	// streams.
	DefaultFinishGrace = time.Second

	// DefaultDeliverTimeout lets a backend restart.
	DefaultDeliverTimeout = 5 * time.Minute

	// DefaultLifecycleTimeout leaves Bazel time to hear of it.
	DefaultLifecycleTimeout = 9 * time.Second

	// DefaultReplayBytes holds the stream of a build of some 20,000 targets.
	DefaultReplayBytes = 64 << 20

	// DefaultReplayBytesTotal bounds the daemon's memory.
	DefaultReplayBytesTotal = 512 << 20

	// DefaultSpoolBytes holds a thousand large builds.
	DefaultSpoolBytes = 4 << 30

	// MaxMessageBytes is the largest message taken and sent. Real builds send
	// events of 10 MB (bazel#12050).
	MaxMessageBytes = 64 << 20
)

// withDefaults fills in what is not set, and refuses what makes no sense.
func (c Config) withDefaults() (Config, error) {
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	c.MaxStreams = orDefault(c.MaxStreams, DefaultMaxStreams)
	c.MaxClientStreams = orDefault(c.MaxClientStreams, c.MaxStreams)
	if c.Client == nil {
		c.Client = Stream.Host
	}
	if c.Refused == nil {
		c.Refused = func(string, bool) {}
	}
	c.Linger = orDefault(c.Linger, DefaultLinger)
	c.FirstMessage = orDefault(c.FirstMessage, DefaultFirstMessage)
	c.FinishGrace = orDefault(c.FinishGrace, DefaultFinishGrace)
	c.DeliverTimeout = orDefault(c.DeliverTimeout, DefaultDeliverTimeout)
	c.LifecycleTimeout = orDefault(c.LifecycleTimeout, DefaultLifecycleTimeout)
	c.ReplayBytes = orDefault(c.ReplayBytes, DefaultReplayBytes)
	c.ReplayBytesTotal = orDefault(c.ReplayBytesTotal, DefaultReplayBytesTotal)
	c.SpoolBytes = orDefault(c.SpoolBytes, DefaultSpoolBytes)
	for _, n := range []int64{
		int64(c.MaxStreams), int64(c.MaxClientStreams), int64(c.Linger), int64(c.FirstMessage), int64(c.FinishGrace), int64(c.DeliverTimeout),
		int64(c.LifecycleTimeout), c.ReplayBytes, c.ReplayBytesTotal, c.SpoolBytes,
	} {
		if n < 0 {
			return Config{}, errors.New("limits and durations must not be negative")
		}
	}
	names := make(map[string]bool)
	backends := make([]Backend, len(c.Backends))
	for i, b := range c.Backends {
		b, err := b.withDefaults()
		if err != nil {
			return Config{}, fmt.Errorf("backend %q: %w", b.Name, err)
		}
		if err := refuseSelf(b.Address, c.Listen); err != nil {
			return Config{}, fmt.Errorf("backend %q: %w", b.Name, err)
		}
		if names[b.Name] {
			return Config{}, fmt.Errorf("backend %q: another backend has this name; give each a name of its own", b.Name)
		}
		names[b.Name] = true
		backends[i] = b
	}
	c.Backends = backends
	return c, nil
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
