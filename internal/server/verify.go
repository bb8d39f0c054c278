package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/drift"
	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/registry"
)

// Verify says how often the daemon compares the ledger with the registries by itself, and
// how much it asks of them.
type Verify struct {
	// Every is the time from the beginning of one comparison to that of the next. 0 is
	// never, the default.
	Every time.Duration `yaml:"every"`
	// Age leaves out pushes that are older. Defaults to 720h; 0 leaves out none.
	Age time.Duration `yaml:"age"`
	// Limit bounds the tags and digests of one comparison; the next goes on where it
	// ended. Defaults to 10000.
	Limit int `yaml:"limit"`
	// Rate bounds the lookups a second. Defaults to 5.
	Rate float64 `yaml:"rate"`
	// Timeout bounds the time of one comparison; the next goes on where it ended. Defaults
	// to 1h.
	Timeout time.Duration `yaml:"timeout"`
}

func (v Verify) check() error {
	if v.Every < 0 || v.Age < 0 {
		return errors.New("verify: every and age must not be negative")
	}
	if v.Limit < 1 || v.Rate <= 0 || v.Timeout <= 0 {
		return errors.New("verify: limit, rate and timeout must be greater than 0")
	}
	return nil
}

const (
	// verifyTick is how often it is looked whether a comparison is due.
	verifyTick = time.Second
	// verifyRetry is how long a comparison that cannot go on waits.
	verifyRetry = time.Minute
	// maxDifferences bounds what is kept of one comparison, and told in one event.
	maxDifferences = 1000
	// maxLogged bounds the differences in one line of the log.
	maxLogged = 5
)

// verifyStore is what a verifier needs of the store.
type verifyStore interface {
	Keeping() bool
	Entries(ctx context.Context, query ledger.Query) ([]ledger.Entry, error)
	Verification(ctx context.Context) (jsontext.Value, error)
	SaveVerification(ctx context.Context, body, drift jsontext.Value) error
}

// verifier compares the ledger with the registries, now and then.
type verifier struct {
	config     Verify
	store      verifyStore
	registries *registry.Client
	logger     zerolog.Logger
	now        func() time.Time
	wait       func(ctx context.Context, d time.Duration) error

	found *prometheus.GaugeVec
	ended prometheus.Gauge
}

func newVerifier(config Verify, store verifyStore, registries *registry.Client, logger zerolog.Logger) *verifier {
	return &verifier{
		config: config, store: store, registries: registries, logger: logger, now: time.Now, wait: clock.Wait,
		found: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "drayage_verify_references", Help: "Tags and digests of the last comparison of the ledger with the registries, by what was found.",
		}, []string{"found"}),
		ended: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "drayage_verify_last_end_timestamp_seconds", Help: "When the ledger was last compared with the registries.",
		}),
	}
}

// run compares whenever it is due and this daemon is the keeper, until ctx ends.
func (v *verifier) run(ctx context.Context) {
	for ctx.Err() == nil {
		if v.store.Keeping() {
			if err := v.step(ctx); err != nil && ctx.Err() == nil {
				v.logger.Warn().Err(err).Msg("cannot compare the ledger with the registries; trying again in a minute")
				if v.wait(ctx, verifyRetry) != nil {
					return
				}
			}
		}
		if v.wait(ctx, verifyTick) != nil {
			return
		}
	}
}

// step does a comparison if one is due. One that was interrupted goes on.
func (v *verifier) step(ctx context.Context) error {
	last, err := lastVerification(ctx, v.store)
	if err != nil {
		return err
	}
	if !last.Ended.IsZero() || last.Began.IsZero() {
		v.show(last)
		if v.now().Before(last.Began.Add(v.config.Every)) {
			return nil
		}
		last = operator.Verification{Began: v.now().UTC(), Next: last.Next, Differences: []drift.Difference{}}
		if err := v.save(ctx, last); err != nil {
			return err
		}
	}
	return v.compare(ctx, last)
}

// compare does a comparison, or the rest of it.
func (v *verifier) compare(ctx context.Context, now operator.Verification) error {
	limited, cancel := context.WithTimeout(ctx, v.config.Timeout)
	defer cancel()
	_, err := drift.Check(limited, v.registries, v.entries(limited), drift.Scope{
		Before: now.Next, Most: max(1, v.config.Limit-now.Checked),
		Wait: func(ctx context.Context) error {
			if !v.store.Keeping() {
				return errors.New("this daemon is no longer the keeper")
			}
			return v.wait(ctx, time.Duration(float64(time.Second)/v.config.Rate))
		},
		Progress: func(r drift.Report) error {
			note(&now, r)
			return v.save(ctx, now)
		},
	})
	switch {
	case err == nil:
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		now.Error = "it took longer than " + v.config.Timeout.String() + " (verify.timeout); the next one goes on from here"
	default:
		return err // it goes on later, after the next start, or with another daemon
	}
	now.Ended = v.now().UTC()
	v.show(now)
	v.log(now)
	return v.save(ctx, now)
}

// note adds what was found to a comparison.
func note(v *operator.Verification, r drift.Report) {
	v.Checked, v.Next = v.Checked+r.Checked, r.Next
	for _, d := range r.Differences {
		switch d.Kind {
		case drift.Missing:
			v.Missing++
		case drift.Changed:
			v.Changed++
		case drift.Unknown:
			v.Unknown++
		}
		if len(v.Differences) < maxDifferences {
			v.Differences = append(v.Differences, d)
		} else {
			v.Omitted++
		}
	}
}

// save keeps how a comparison stands. At its end, drift is told of.
func (v *verifier) save(ctx context.Context, now operator.Verification) error {
	body, err := json.Marshal(now, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	var event jsontext.Value
	if !now.Ended.IsZero() && now.Drifted() > 0 {
		event = body
	}
	return v.store.SaveVerification(ctx, body, event)
}

func (v *verifier) show(last operator.Verification) {
	if last.Ended.IsZero() {
		return
	}
	for kind, n := range map[drift.Kind]int{
		"as_recorded": last.Checked - last.Drifted() - last.Unknown, drift.Missing: last.Missing, drift.Changed: last.Changed, drift.Unknown: last.Unknown,
	} {
		v.found.WithLabelValues(string(kind)).Set(float64(n))
	}
	v.ended.Set(float64(last.Ended.Unix()))
}

func (v *verifier) log(now operator.Verification) {
	level := zerolog.InfoLevel
	if now.Drifted() > 0 || now.Error != "" {
		level = zerolog.WarnLevel
	}
	var some []string
	for _, d := range now.Differences[:min(len(now.Differences), maxLogged)] {
		some = append(some, d.String())
	}
	v.logger.WithLevel(level).Int("checked", now.Checked).Int("missing", now.Missing).Int("changed", now.Changed).Int("unknown", now.Unknown).
		Strs("first", some).Str("stopped", now.Error).Dur("took", now.Ended.Sub(now.Began)).Msg("the ledger was compared with the registries")
}

// entries are the rows that are old enough to matter, the newest first.
func (v *verifier) entries(ctx context.Context) iter.Seq2[ledger.Entry, error] {
	query := ledger.Query{Limit: ledger.MaxLimit}
	if v.config.Age > 0 {
		query.Since = v.now().Add(-v.config.Age)
	}
	return func(yield func(ledger.Entry, error) bool) {
		for {
			page, err := v.store.Entries(ctx, query)
			if err != nil {
				yield(ledger.Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < query.Limit {
				return
			}
			query.Before = page[len(page)-1].ID
		}
	}
}

// lastVerification is the last comparison, or an empty one.
func lastVerification(ctx context.Context, store verifyStore) (operator.Verification, error) {
	last := operator.Verification{Differences: []drift.Difference{}}
	body, err := store.Verification(ctx)
	if err != nil || body == nil {
		return last, err
	}
	if err := json.Unmarshal(body, &last); err != nil {
		return last, fmt.Errorf("decode the last comparison with the registries: %w", err)
	}
	return last, nil
}
