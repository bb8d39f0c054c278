package store

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/sqldb"
)

// RegistryMode says whether pushes may go to a registry.
type RegistryMode string

// The modes.
const (
	RegistryOpen    RegistryMode = "open"
	RegistryDrained RegistryMode = "drained" // no push begins
	RegistryBlocked RegistryMode = "blocked" // and those under way are ended
)

// RegistryState is what operators said of a registry. It holds for all daemons that share
// the database.
type RegistryState struct {
	Registry string
	Mode     RegistryMode
	// Client said so, at Since.
	Client string
	Since  time.Time
	// Lifted is when somebody last ended the pauses of the registry, or zero.
	Lifted time.Time
}

// RegistryStates are those of all registries of which operators said something.
func (s *Store) RegistryStates(ctx context.Context) ([]RegistryState, error) {
	var list []RegistryState
	err := s.db.Read().Query(ctx, `SELECT registry, state, client, since, lifted FROM registry_state ORDER BY registry`, nil, func(scan sqldb.Scan) error {
		var r RegistryState
		var since, lifted int64
		err := scan(&r.Registry, &r.Mode, &r.Client, &since, &lifted)
		r.Since, r.Lifted = sqldb.FromMicros(since), sqldb.FromMicros(lifted)
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the states of registries: %w", err)
	}
	return list, nil
}

// SetRegistryMode says whether pushes may go to a registry. Jobs that waited for one that
// is open again are due at once.
func (s *Store) SetRegistryMode(ctx context.Context, registry string, mode RegistryMode, client string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		_, err := tx.Exec(ctx, `INSERT INTO registry_state (registry, state, client, since) VALUES (?, ?, ?, ?)
			ON CONFLICT (registry) DO UPDATE SET state = excluded.state, client = excluded.client, since = excluded.since`,
			registry, string(mode), sqldb.CleanText(client), sqldb.Micros(s.now()))
		return err
	})
	if err == nil && mode == RegistryOpen {
		_, err = s.WakeWaiting(ctx, registry, Waiters{})
	}
	if err != nil {
		return fmt.Errorf("make registry %s %s: %w", registry, mode, err)
	}
	return nil
}

// LiftPauses has every daemon end its pause of a registry. It does not open one that is
// drained or blocked.
func (s *Store) LiftPauses(ctx context.Context, registry, client string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		now := sqldb.Micros(s.now())
		_, err := tx.Exec(ctx, `INSERT INTO registry_state (registry, state, client, since, lifted) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (registry) DO UPDATE SET lifted = excluded.lifted`, registry, string(RegistryOpen), sqldb.CleanText(client), now, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("lift the pauses of registry %s: %w", registry, err)
	}
	return nil
}

// RegistryWait counts jobs that wait for a registry.
type RegistryWait struct {
	Registry string
	// Here says that this daemon had them wait.
	Here bool
	Jobs int
}

// waiting is a condition on registry_wait w and river_job j: the job still waits.
const waiting = `j.attempt = w.run AND j.state IN ('` + string(rivertype.JobStateRetryable) + `', '` +
	string(rivertype.JobStateScheduled) + `', '` + string(rivertype.JobStateAvailable) + `')`

// RegistryWaits counts the jobs that wait for registries.
func (s *Store) RegistryWaits(ctx context.Context) ([]RegistryWait, error) {
	var list []RegistryWait
	err := s.db.Read().Query(ctx, `SELECT w.registry, w.daemon, COUNT(*) FROM registry_wait w JOIN river_job j ON j.id = w.job_id
		WHERE `+waiting+` GROUP BY w.registry, w.daemon ORDER BY w.registry`, nil, func(scan sqldb.Scan) error {
		var w RegistryWait
		var daemon string
		err := scan(&w.Registry, &daemon, &w.Jobs)
		w.Here = daemon == s.name
		list = append(list, w)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count jobs that wait for registries: %w", err)
	}
	return list, nil
}

// WaitedFor are the registries that selected jobs wait for.
func (s *Store) WaitedFor(ctx context.Context, selection Selection) ([]string, error) {
	where, args, err := selection.where()
	if err != nil {
		return nil, err
	}
	var list []string
	err = s.db.Read().Query(ctx, `SELECT DISTINCT w.registry FROM registry_wait w JOIN river_job j ON j.id = w.job_id
		JOIN expected x ON x.job_id = w.job_id WHERE `+where+` AND `+pendingOnly+` AND `+waiting+` ORDER BY w.registry`, args,
		func(scan sqldb.Scan) error {
			var registry string
			err := scan(&registry)
			list = append(list, registry)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("find the registries that jobs wait for: %w", err)
	}
	return list, nil
}

// Waiters say which of the jobs that wait for a registry are meant.
type Waiters struct {
	// Here means those alone that this daemon had wait.
	Here bool
	// Most bounds them; 0 is all.
	Most int
}

// WakeWaiting makes jobs due that wait for a registry. It returns how many.
func (s *Store) WakeWaiting(ctx context.Context, registry string, which Waiters) (woken int, err error) {
	where, args := `w.registry = ?`, []any{registry}
	if which.Here {
		where, args = where+` AND w.daemon = ?`, append(args, s.name)
	}
	for {
		size := controlSize
		if which.Most > 0 {
			size = min(size, which.Most-woken)
		}
		n := 0
		err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
			n = 0
			var ids []int64
			err := tx.Query(ctx, `SELECT w.job_id FROM registry_wait w JOIN river_job j ON j.id = w.job_id WHERE `+where+` AND `+waiting+
				fmt.Sprintf(` ORDER BY w.job_id LIMIT %d`, size)+s.db.Dialect().ForUpdate, args, func(scan sqldb.Scan) error {
				var id int64
				err := scan(&id)
				ids = append(ids, id)
				return err
			})
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := s.db.RetryJob(ctx, tx, id); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `DELETE FROM registry_wait WHERE job_id = ?`, id); err != nil {
					return err
				}
			}
			n = len(ids)
			return nil
		})
		if err != nil {
			return woken, fmt.Errorf("wake jobs that wait for registry %s: %w", registry, err)
		}
		if woken += n; n < size || woken == which.Most {
			return woken, nil
		}
	}
}

// noteWaits notes which of the runs' jobs wait for a registry now.
func (s *Store) noteWaits(ctx context.Context, tx sqldb.Conn, batch []*settlement) error {
	var args []any
	for _, b := range batch {
		if b.waitsFor == "" || b.lost {
			continue
		}
		until := s.now()
		if at := b.state.ScheduledAt; at != nil {
			until = *at
		}
		args = append(args, b.id.job, b.id.run, sqldb.CleanText(b.waitsFor), s.name, sqldb.Micros(until))
	}
	err := sqldb.ExecMany(ctx, tx, sqldb.Insert{
		SQL: `INSERT INTO registry_wait (job_id, run, registry, daemon, until) VALUES `, Group: "(?,?,?,?,?)", Args: args,
		Tail: ` ON CONFLICT (job_id) DO UPDATE SET run = excluded.run, registry = excluded.registry, daemon = excluded.daemon, until = excluded.until`,
	})
	if err != nil {
		return fmt.Errorf("note which jobs wait for a registry: %w", err)
	}
	return nil
}
