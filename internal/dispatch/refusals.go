package dispatch

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Reasons for which a client is refused something, as metrics name them.
const (
	// RefusedByPolicy: the policy lets the client send no build events.
	RefusedByPolicy = "policy_stream"
	// refusedStranger: no rule of the policy is for the client, so it may push nothing.
	refusedStranger = "no_rule"
	// refusedOwner: the invocation belongs to another client.
	refusedOwner = "owner"
)

const (
	// refusalLines is how many refusals are logged in each refusalPause. All are counted.
	refusalLines = 20
	refusalPause = 10 * time.Second
)

// Refusals count what clients are refused, and log it, though not so often that a client
// could fill a disk with lines. A nil one does nothing.
type Refusals struct {
	// Count is by reason.
	Count  *prometheus.CounterVec
	logger zerolog.Logger

	mu       sync.Mutex
	since    time.Time
	lines    int
	withheld int
}

// NewRefusals makes a count of nothing.
func NewRefusals(logger zerolog.Logger) *Refusals {
	return &Refusals{logger: logger, Count: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "drayage", Name: "refusals_total", Help: "What clients were refused: streams, and what streams asked for.",
	}, []string{"reason"})}
}

// Note counts a refusal. Text says what was refused; it is logged with the client.
func (r *Refusals) Note(reason, client, invocation, text string) {
	if r == nil {
		return
	}
	r.Count.WithLabelValues(reason).Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.since) >= refusalPause {
		if r.withheld > 0 {
			r.logger.Warn().Int("refusals", r.withheld).Msg("more clients were refused something than is logged; drayage_refusals_total counts all")
		}
		r.since, r.lines, r.withheld = now, 0, 0
	}
	if r.lines++; r.lines > refusalLines {
		r.withheld++
		return
	}
	line := r.logger.Warn().Str("reason", reason).Str("client", client)
	if invocation != "" {
		line = line.Str("invocation", invocation)
	}
	line.Msg(text)
}
