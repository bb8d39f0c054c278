package store

import (
	"context"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/clock"
	"github.com/drayage/drayage/internal/sqldb"
)

// A decode of a large spec is marked while it lasts. A mark that is still there when the
// job is run again tells that the daemon died in the decode. Nothing else that a run does
// is marked: a daemon that is killed has many jobs under way, and nearly none of them in
// its decode. A decode that ends, however it ends, takes all marks of its job away.

// decodeRetry is how long a run waits before it tries again to take its mark away.
const decodeRetry = 500 * time.Millisecond

// DecodeDeaths returns how many decodes of the job's spec have ended with the death of
// their daemon, one after another.
func (s *Store) DecodeDeaths(ctx context.Context, attempt Attempt) (int, error) {
	deaths := 0
	_, err := sqldb.QueryRow(ctx, s.db.Read(), `SELECT begun FROM decode_mark WHERE job_id = ?`, []any{attempt.id.job}, &deaths)
	if err != nil {
		return 0, fmt.Errorf("look up how decodes of the push spec ended: %w", err)
	}
	return deaths, nil
}

// BeginDecode marks that the job's spec is being decoded. It is durable on return.
func (s *Store) BeginDecode(ctx context.Context, attempt Attempt) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, `INSERT INTO decode_mark (job_id, begun) VALUES (?, 1)
			ON CONFLICT (job_id) DO UPDATE SET begun = decode_mark.begun + 1`, attempt.id.job)
		if err != nil {
			return err
		}
		// There are a few marks at most. Those of jobs that are gone have nobody else to
		// take them away.
		_, err = tx.Exec(ctx, `DELETE FROM decode_mark WHERE NOT EXISTS (SELECT 1 FROM river_job j WHERE j.id = decode_mark.job_id)`)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark that the push spec is being decoded: %w", err)
	}
	return nil
}

// EndDecode takes the job's marks away. As long as the database refuses, it tries again,
// until ctx ends: a mark that stays would count as a death.
func (s *Store) EndDecode(ctx context.Context, attempt Attempt) error {
	for {
		// The decode has ended, whoever wants to stop now.
		err := s.db.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx sqldb.Conn) error {
			_, err := tx.Exec(ctx, `DELETE FROM decode_mark WHERE job_id = ?`, attempt.id.job)
			return err
		})
		if err == nil {
			return nil
		}
		if clock.Wait(ctx, decodeRetry) != nil {
			return fmt.Errorf("note that the push spec is decoded: %w", err)
		}
	}
}
