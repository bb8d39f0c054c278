package store

import (
	"context"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// pruneInterval is how often the keeper removes what is too old.
const pruneInterval = time.Hour

// Retention says how long things are kept. A negative time keeps them
// forever. The ledger's rows and log are always kept: each is needed to verify the
// others. The keys are those of the daemon's configuration.
type Retention struct {
	// Jobs that have ended can be requeued for so long. Defaults to 3 days.
	Jobs time.Duration `yaml:"jobs"`
	// Invocations are kept for so long after they were last heard of, together
	// with what each expected. Defaults to 400 days.
	Invocations time.Duration `yaml:"invocations"`
	// Checkpoints other than each day's last one are kept for so long. Defaults to
	// 30 days.
	Checkpoints time.Duration `yaml:"checkpoints"`
	// DeadLetters are kept for so long. Defaults to 30 days.
	DeadLetters time.Duration `yaml:"dead_letters"`
	// Staged images keep their tags back for so long at most: then the tags do not move any
	// more. Defaults to 30 days.
	Staged time.Duration `yaml:"staged"`
}

const day = 24 * time.Hour

// DefaultRetention holds where nothing else is said.
func DefaultRetention() Retention {
	return Retention{Jobs: 3 * day, Invocations: 400 * day, Checkpoints: 30 * day, DeadLetters: 30 * day, Staged: 30 * day}
}

func (r *Retention) setDefaults() {
	standard := DefaultRetention()
	for _, field := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&r.Jobs, standard.Jobs}, {&r.Invocations, standard.Invocations},
		{&r.Checkpoints, standard.Checkpoints}, {&r.DeadLetters, standard.DeadLetters}, {&r.Staged, standard.Staged},
	} {
		if *field.value == 0 {
			*field.value = field.standard
		}
	}
}

// prune removes what is older than the retention says. The keeper does so every
// hour.
func (s *Store) prune(ctx context.Context) error {
	keep := s.options.Retention
	for _, step := range []struct {
		what string
		age  time.Duration
		do   func(ctx context.Context, before time.Time) error
	}{
		{"jobs", keep.Jobs, s.remove("river_job", "id", `SELECT j.id FROM river_job j JOIN ledger_entry e ON e.job_id = j.id
			WHERE j.state IN ('completed', 'cancelled', 'discarded') AND e.time < ?
			AND NOT EXISTS (SELECT 1 FROM expected x WHERE x.job_id = j.id AND x.outcome = '`+string(ledger.Staged)+`')`)}, // its tags may yet move
		{"expected pushes", keep.Invocations, s.remove("expected", "id", `SELECT id FROM expected
			WHERE found < ? AND (entry_id IS NOT NULL OR job_id IS NULL) AND outcome <> '`+string(ledger.Staged)+`' ORDER BY found, id`)},
		{"releases", keep.Invocations, s.remove("release", "invocation_id", `SELECT r.invocation_id FROM release r WHERE r.created < ?
			AND NOT EXISTS (SELECT 1 FROM expected x WHERE x.invocation_id = r.invocation_id)`)},
		{"manifests of staged images", 2 * keep.Staged, s.remove("kept_manifest", "digest", `SELECT digest FROM kept_manifest WHERE time < ? ORDER BY time, digest`)},
		{"absent targets", keep.Invocations, s.remove("absent", "invocation_id", `SELECT i.id FROM invocation i WHERE i.updated < ?
			AND EXISTS (SELECT 1 FROM absent a WHERE a.invocation_id = i.id)`)},
		{"records of streams", keep.Invocations, s.remove("stream_record", "invocation_id", `SELECT i.id FROM invocation i WHERE i.updated < ?
			AND EXISTS (SELECT 1 FROM stream_record r WHERE r.invocation_id = i.id)`)},
		{"completions", keep.Invocations, s.remove("completion", "invocation_id", `SELECT i.id FROM invocation i WHERE i.updated < ?
			AND EXISTS (SELECT 1 FROM completion c WHERE c.invocation_id = i.id)`)},
		{"invocations", keep.Invocations, s.remove("invocation", "id", `SELECT i.id FROM invocation i WHERE i.updated < ?
			AND NOT EXISTS (SELECT 1 FROM expected x WHERE x.invocation_id = i.id)`)},
		{"checkpoints", keep.Checkpoints, s.log.Thin},
		{"claims on blobs", blobClaimLife, s.remove("blob_claim", "(registry, digest)", `SELECT registry, digest FROM blob_claim
			WHERE time < ? ORDER BY time`)},
		{"waits for registries", time.Hour, s.remove("registry_wait", "job_id", `SELECT job_id FROM registry_wait WHERE until < ?`)},
		{"usage of clients", 2 * day, s.remove("client_usage", "(client, day)", `SELECT client, day FROM client_usage WHERE day < ?`)},
		{"dead letters", keep.DeadLetters, s.outbox.PruneDead},
	} {
		if step.age < 0 {
			continue
		}
		if err := step.do(ctx, s.now().Add(-step.age)); err != nil {
			return fmt.Errorf("remove old %s: %w", step.what, err)
		}
	}
	return nil
}

// remove removes the rows of a table whose key is found by a query for what is
// older than a time.
func (s *Store) remove(table, key, query string) func(ctx context.Context, before time.Time) error {
	return func(ctx context.Context, before time.Time) error {
		return sqldb.DeleteMany(ctx, s.db, table, key, query, sqldb.Micros(before))
	}
}
