package store

import (
	"context"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

const (
	// sweepYoung is how long after a release was made transactions may end that did not
	// see it.
	sweepYoung = 2 * commitLimit

	// sweepAll is how often the keeper looks at all releases that may still change.
	sweepAll = 10 * time.Minute
)

// sweepReleases decides on releases that a race left undecided, and closes those that have
// waited for too long. The keeper calls it every second; it mostly finds nothing.
func (s *Store) sweepReleases(ctx context.Context) error {
	if now := s.now(); now.Sub(s.swept) >= sweepAll {
		if err := s.expireReleases(ctx); err != nil {
			return err
		}
		if err := s.sweep(ctx, `state = '`+string(ReleaseWaiting)+`' OR (state = '`+string(ReleaseClosed)+`' AND decided > ?)`, sqldb.Micros(now.Add(-day))); err != nil {
			return err
		}
		s.swept = now
		return nil
	}
	return s.sweep(ctx, `created > ?`, sqldb.Micros(s.leaseTime().Add(-sweepYoung)))
}

// sweep decides on the releases that fulfil a condition.
func (s *Store) sweep(ctx context.Context, condition string, args ...any) error {
	ids, err := s.releases(ctx, condition, args...)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.decideIfDue(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// decideIfDue decides on an invocation's release, if there is anything to decide.
func (s *Store) decideIfDue(ctx context.Context, invocation string) error {
	due, err := s.isDue(ctx, invocation)
	if err != nil || !due {
		return err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		if err := s.decide(ctx, tx, invocation); err != nil {
			return err
		}
		return s.postCompleted(ctx, tx, invocation)
	})
	if err == nil {
		s.changes.tell(invocation)
	}
	return err
}

// isDue tells whether decide would change anything: nearly always it would not, and a
// transaction costs more than a look.
func (s *Store) isDue(ctx context.Context, invocation string) (bool, error) {
	c := s.db.Read()
	r, found, err := s.readRelease(ctx, c, invocation, "")
	if err != nil || !found {
		return false, err
	}
	if r.State == ReleaseWaiting || r.Class == classBrokenOff {
		f, err := s.facts(ctx, c, r)
		if err != nil {
			return false, err
		}
		if r.State == ReleaseWaiting {
			return s.verdict(r, f).state != ReleaseWaiting, nil
		}
		if f.invocation.Finished && f.pending == 0 {
			return true, nil
		}
	}
	ended := `outcome = '` + string(ledger.Staged) + `'`
	if r.Class == classRolledBack {
		ended += ` OR (action <> '` + string(ActionRestore) + `' AND outcome IN (` + quoted(movers()) + `))`
	}
	return sqldb.QueryRow(ctx, c, `SELECT id FROM expected WHERE invocation_id = ? AND entry_id IS NOT NULL AND (`+ended+`) LIMIT 1`, []any{invocation}, new(int64))
}

// releases are the invocations of the releases that fulfil a condition.
func (s *Store) releases(ctx context.Context, condition string, args ...any) ([]string, error) {
	var ids []string
	err := s.db.Read().Query(ctx, `SELECT invocation_id FROM release WHERE `+condition+` ORDER BY created, invocation_id`, args, func(scan sqldb.Scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for releases: %w", err)
	}
	return ids, nil
}

// expireReleases closes what has waited for longer than [Retention.Staged].
func (s *Store) expireReleases(ctx context.Context) error {
	keep := s.options.Retention.Staged
	if keep < 0 {
		return nil
	}
	before := s.now().Add(-keep)
	ids, err := s.releases(ctx, `state = '`+string(ReleaseWaiting)+`' AND staged < ?`, sqldb.Micros(before))
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
			r, found, err := s.lockRelease(ctx, tx, id)
			if err != nil || !found || r.State != ReleaseWaiting || !r.staged.Before(before) {
				return err
			}
			reason := "it waited at its gate for longer than " + keep.String() + " (retention.staged)"
			if err := s.closeRelease(ctx, tx, r, classExpired, Decision{Reason: reason}); err != nil {
				return err
			}
			return s.postCompleted(ctx, tx, id)
		})
		if err != nil {
			return fmt.Errorf("close the release of invocation %s: %w", id, err)
		}
		s.changes.tell(id)
	}
	return nil
}
