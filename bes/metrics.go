package bes

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/status"
)

// metrics are what the relay counts. They count whether or not anybody registers
// them.
type metrics struct {
	streams   prometheus.Gauge
	ended     *prometheus.CounterVec
	refused   prometheus.Counter
	resumed   prometheus.Counter
	events    prometheus.Counter
	replayed  prometheus.Counter
	bytes     prometheus.Counter
	latency   prometheus.Histogram
	lifecycle prometheus.Counter

	backendStreams *prometheus.GaugeVec
	lostLifecycle  *prometheus.CounterVec
	retries        *prometheus.CounterVec
	gaveUp         *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer, kept, spooled func() int64) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "drayage", Subsystem: "bes", Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "drayage", Subsystem: "bes", Name: name, Help: help}, labels)
	}
	m := &metrics{
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "drayage", Subsystem: "bes", Name: "streams", Help: "Streams that are open.",
		}),
		ended:    vector("streams_ended_total", "Streams that ended, by gRPC status.", "code"),
		refused:  counter("streams_refused_total", "Streams refused because too many were open."),
		resumed:  counter("streams_resumed_total", "Streams that began behind messages acknowledged elsewhere."),
		events:   counter("events_total", "Messages taken in, each one once."),
		replayed: counter("events_replayed_total", "Messages that came again after a reconnection."),
		bytes:    counter("bytes_total", "Bytes of all messages taken in."),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "drayage", Subsystem: "bes", Name: "acknowledgement_seconds",
			Help:    "Time from a message's arrival to its acknowledgement, of a sample of messages.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 11),
		}),
		lifecycle:     counter("lifecycle_events_total", "Lifecycle events taken in."),
		lostLifecycle: vector("backend_lifecycle_lost_total", "Lifecycle events that a best-effort backend did not take.", "backend"),
		retries:       vector("backend_retries_total", "Reconnections of streams to a best-effort backend.", "backend"),
		gaveUp: vector("backend_streams_stopped_total",
			"Streams of which a best-effort backend does not get the rest.", "backend", "reason"),
	}
	m.backendStreams = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "drayage", Subsystem: "bes", Name: "backend_streams", Help: "Streams that are open to a backend.",
	}, []string{"backend"})
	if registerer == nil {
		return m, nil
	}
	gauge := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "drayage", Subsystem: "bes", Name: name, Help: help},
			func() float64 { return float64(value()) })
	}
	for _, c := range []prometheus.Collector{
		gauge("replay_bytes", "Memory that holds messages for best-effort backends.", kept),
		gauge("spool_bytes", "Disk that holds messages for best-effort backends.", spooled),
		m.backendStreams, m.streams, m.ended, m.refused, m.resumed, m.events, m.replayed, m.bytes, m.latency, m.lifecycle, m.lostLifecycle, m.retries, m.gaveUp,
	} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) stopped(backend, reason string) { m.gaveUp.WithLabelValues(backend, reason).Inc() }
func (m *metrics) retried(backend string)         { m.retries.WithLabelValues(backend).Inc() }
func (m *metrics) lifecycleLost(backend string)   { m.lostLifecycle.WithLabelValues(backend).Inc() }

// streamMetrics counts for one incoming stream, and adds up now and then: to count each
// event in counters that all streams share costs more than the event.
type streamMetrics struct {
	metrics                 *metrics
	events, replayed, bytes int
}

func (m *metrics) stream() *streamMetrics { return &streamMetrics{metrics: m} }

// flushEvery is how many messages are counted before they are added up.
const flushEvery = 64

func (s *streamMetrics) message(bytes int, isNew bool) {
	s.bytes += bytes
	if isNew {
		s.events++
	} else {
		s.replayed++
	}
	if s.events+s.replayed >= flushEvery {
		s.flush()
	}
}

func (s *streamMetrics) flush() {
	s.metrics.events.Add(float64(s.events))
	s.metrics.replayed.Add(float64(s.replayed))
	s.metrics.bytes.Add(float64(s.bytes))
	s.events, s.replayed, s.bytes = 0, 0, 0
}

func (s *streamMetrics) ended(err error) {
	s.flush()
	s.metrics.ended.WithLabelValues(status.Code(err).String()).Inc()
}

// latencySample times one message at a time, from its arrival to its
// acknowledgement.
type latencySample struct {
	sequence int64
	at       time.Time
}

func (l *latencySample) received(sequence int64) {
	if l.sequence == 0 {
		l.sequence, l.at = sequence, time.Now()
	}
}

func (l *latencySample) acknowledged(sequence int64, s *streamMetrics) {
	if l.sequence != 0 && sequence >= l.sequence {
		s.metrics.latency.Observe(time.Since(l.at).Seconds())
		l.sequence = 0
	}
}
