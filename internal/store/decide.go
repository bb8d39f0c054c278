package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// decide finds out whether the tags of an invocation move, and has them moved or withheld
// as far as that is known. It changes nothing where nothing has changed, and is called
// after whatever may have: see the callers. Without a release it does nothing.
//
// It locks the release before it counts: of two transactions that each end one push, the
// one that is second sees the other's. One that does not see the release, since that is
// being made by the other, leaves it to the keeper ([Store.sweepReleases]).
func (s *Store) decide(ctx context.Context, tx sqldb.Conn, invocation string) error {
	r, found, err := s.lockRelease(ctx, tx, invocation)
	if err == nil && found {
		err = s.decideLocked(ctx, tx, r)
	}
	if err != nil {
		return fmt.Errorf("decide on the tags of invocation %s: %w", invocation, err)
	}
	return nil
}

// decideLocked is decide for a release that is locked.
func (s *Store) decideLocked(ctx context.Context, tx sqldb.Conn, r Release) error {
	opened := false
	if r.State == ReleaseWaiting || r.Class == classBrokenOff {
		f, err := s.facts(ctx, tx, r)
		if err != nil {
			return err
		}
		// A stream that has come back, and ended. Tags that are being withheld come first.
		back := r.State == ReleaseClosed && f.invocation.Finished && f.pending == 0
		if r.State == ReleaseWaiting || back {
			v := s.verdict(r, f)
			if v.state == ReleaseOpen {
				if reason, err := s.clash(ctx, tx, r.Invocation); err != nil {
					return err
				} else if reason != "" {
					v = verdict{state: ReleaseClosed, class: ledger.ClassConflict, reason: reason}
				}
			}
			if opened = v.state == ReleaseOpen; v.state != r.State {
				if err := s.pass(ctx, tx, &r, v); err != nil {
					return err
				}
			}
		}
	}
	return s.carryOut(ctx, tx, r, opened)
}

// pass writes down a verdict.
func (s *Store) pass(ctx context.Context, tx sqldb.Conn, r *Release, v verdict) error {
	r.State, r.Class, r.Reason, r.By, r.Decided = v.state, v.class, v.reason, "", s.now()
	switch v.state {
	case ReleaseOpen:
		r.By = r.approvedBy
	case ReleaseWaiting:
		r.Class, r.Reason, r.Decided = "", "", time.Time{}
	}
	return s.saveDecision(ctx, tx, *r)
}

// carryOut begins the jobs that a release's state asks for. Opened says that it has become
// open just now: then what was withheld or rolled back before gets its tags as well.
func (s *Store) carryOut(ctx context.Context, tx sqldb.Conn, r Release, opened bool) error {
	if r.State == ReleaseWaiting {
		return nil
	}
	outcomes := []ledger.Outcome{ledger.Staged}
	if opened {
		outcomes = append(outcomes, ledger.Withheld, ledger.RolledBack)
	}
	rows, err := s.endedAs(ctx, tx, r.Invocation, outcomes)
	if err == nil {
		err = s.begin(ctx, tx, ActionTag, rows)
	}
	if err == nil && r.Class == classRolledBack {
		_, err = s.restore(ctx, tx, r.Invocation)
	}
	return err
}

// restore begins to put tags back to what they pointed to before the invocation.
func (s *Store) restore(ctx context.Context, tx sqldb.Conn, invocation string) (int, error) {
	rows, err := s.endedAs(ctx, tx, invocation, movers())
	if err != nil {
		return 0, err
	}
	entries, err := s.entriesOf(ctx, tx, rows)
	if err != nil {
		return 0, err
	}
	touched, err := touchedImages(ctx, tx, invocation)
	if err != nil {
		return 0, err
	}
	before, err := moversBefore(ctx, tx, invocation)
	if err != nil {
		return 0, err
	}
	rows = slices.DeleteFunc(rows, func(e endedPush) bool {
		again := e.outcome == ledger.Present && before[entries[e.entry].Target]
		return !again && !e.hasMoved(entries[e.entry], touched)
	})
	return len(rows), s.begin(ctx, tx, ActionRestore, rows)
}

// moversBefore are the targets whose pushes moved tags before they were done again.
func moversBefore(ctx context.Context, tx sqldb.Conn, invocation string) (map[string]bool, error) {
	targets := map[string]bool{}
	err := tx.Query(ctx, `SELECT DISTINCT target FROM ledger_entry WHERE invocation_id = ? AND outcome IN ('`+string(ledger.Pushed)+`', '`+string(ledger.Superseded)+`')`,
		[]any{invocation}, func(scan sqldb.Scan) error {
			var target string
			err := scan(&target)
			targets[target] = true
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("look for pushes that moved tags before: %w", err)
	}
	return targets, nil
}

// movers are the outcomes of pushes that may have moved tags.
func movers() []ledger.Outcome {
	return []ledger.Outcome{ledger.Pushed, ledger.Present, ledger.Superseded, ledger.Denied, ledger.Failed, ledger.Cancelled, ledger.Withheld}
}

// hasMoved tells whether the push changed what a tag points to, or may have: the row of one
// that ended well says so; of the others it is known which tags were about to be written.
func (e endedPush) hasMoved(row ledger.Entry, touched map[imageAt]bool) bool {
	switch {
	case e.action == ActionRestore:
		return false
	case e.outcome.Bad():
		return touched[imageAt{row.Registry, row.Repository, row.Digest}]
	}
	return slices.ContainsFunc(row.Tags, func(tag ledger.Tag) bool { return tag.Previous != row.Digest })
}

// imageAt is an image in a repository.
type imageAt struct{ registry, repository, digest string }

// touchedImages are the images of an invocation whose tags were claimed, and perhaps
// written, by jobs that did not end well: a daemon that is killed cannot say how far it came.
func touchedImages(ctx context.Context, tx sqldb.Conn, invocation string) (map[imageAt]bool, error) {
	touched := map[imageAt]bool{}
	err := tx.Query(ctx, `SELECT registry, repository, lease_digest FROM tag_fence WHERE lease_invocation = ? AND lease_previous IS NOT NULL AND lease_previous <> lease_digest`, []any{invocation},
		func(scan sqldb.Scan) error {
			var image imageAt
			err := scan(&image.registry, &image.repository, &image.digest)
			touched[image] = true
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("look for tags that may have been written: %w", err)
	}
	return touched, nil
}
