package store

import (
	"context"
	"fmt"
	"time"
)

const (
	// pruneInterval is how often the keeper removes what is too old.
	pruneInterval = time.Hour

	// pruneSize bounds what one transaction removes, so that nobody who writes in
	// the meantime waits long.
	pruneSize = 500
)

// Retention says how long things are kept. Negative means for ever. The ledger's
// rows and log are always kept: each is needed to verify the others.
type Retention struct {
	// Jobs that have ended can be requeued for so long. Defaults to 3 days.
	Jobs time.Duration
	// Invocations are kept for so long after they were last heard of, together
	// with what each expected. Defaults to 400 days.
	Invocations time.Duration
	// Checkpoints other than each day's last one are kept for so long. Defaults to
	// 30 days.
	Checkpoints time.Duration
	// DeadLetters are kept for so long. Defaults to 30 days.
	DeadLetters time.Duration
}

const day = 24 * time.Hour

// DefaultRetention holds where nothing else is said.
func DefaultRetention() Retention {
	return Retention{Jobs: 3 * day, Invocations: 400 * day, Checkpoints: 30 * day, DeadLetters: 30 * day}
}

func (r *Retention) setDefaults() {
	standard := DefaultRetention()
	for _, field := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&r.Jobs, standard.Jobs}, {&r.Invocations, standard.Invocations},
		{&r.Checkpoints, standard.Checkpoints}, {&r.DeadLetters, standard.DeadLetters},
	} {
		if *field.value == 0 {
			*field.value = field.standard
		}
	}
}

// Prune removes what is older than the retention says. The keeper does so every
// hour.
func (s *Store) Prune(ctx context.Context) error {
	keep := s.options.Retention
	limit := fmt.Sprintf(` LIMIT %d`, pruneSize)
	for _, step := range []struct {
		what      string
		age       time.Duration
		statement string
	}{
		{"jobs", keep.Jobs, `DELETE FROM river_job WHERE id IN (SELECT j.id FROM river_job j JOIN ledger_entry e ON e.job_id = j.id
			WHERE j.state IN ('completed', 'cancelled', 'discarded') AND e.time < ?` + limit + `)`},
		{"expected pushes", keep.Invocations, `DELETE FROM expected WHERE id IN (SELECT id FROM expected
			WHERE found < ? AND (entry_id IS NOT NULL OR job_id IS NULL) ORDER BY found, id` + limit + `)`},
		{"absent targets", keep.Invocations, `DELETE FROM absent WHERE invocation_id IN (SELECT i.id FROM invocation i WHERE i.updated < ?
			AND EXISTS (SELECT 1 FROM absent a WHERE a.invocation_id = i.id)` + limit + `)`},
		{"records of streams", keep.Invocations, `DELETE FROM stream_record WHERE invocation_id IN (SELECT i.id FROM invocation i WHERE i.updated < ?
			AND EXISTS (SELECT 1 FROM stream_record r WHERE r.invocation_id = i.id)` + limit + `)`},
		{"invocations", keep.Invocations, `DELETE FROM invocation WHERE id IN (SELECT i.id FROM invocation i WHERE i.updated < ?
			AND NOT EXISTS (SELECT 1 FROM expected x WHERE x.invocation_id = i.id)` + limit + `)`},
		{"checkpoints", keep.Checkpoints, `DELETE FROM log_checkpoint WHERE size IN (SELECT c.size FROM log_checkpoint c WHERE c.time < ?
			AND EXISTS (SELECT 1 FROM log_checkpoint n WHERE n.size > c.size AND n.time / 86400000000 = c.time / 86400000000)` + limit + `)`},
		{"claims on blobs", blobClaimLife, `DELETE FROM blob_claim WHERE (registry, digest) IN (SELECT registry, digest FROM blob_claim
			WHERE time < ? ORDER BY time` + limit + `)`},
		{"dead letters", keep.DeadLetters, `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE state = 'dead' AND due < ?` + limit + `)`},
	} {
		if step.age < 0 {
			continue
		}
		if err := s.pruneStep(ctx, step.statement, micros(s.now().Add(-step.age))); err != nil {
			return fmt.Errorf("remove old %s: %w", step.what, advise(err))
		}
	}
	return nil
}

// pruneStep runs a statement until it has nothing left to remove.
func (s *Store) pruneStep(ctx context.Context, statement string, before int64) error {
	for {
		var n int64
		err := s.db.write(ctx, func(ctx context.Context, tx conn) (err error) {
			n, err = tx.exec(ctx, statement, before)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
	}
}
