package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// Decision is what somebody decides on the tags of an invocation.
type Decision struct {
	Invocation string
	// By is the client who decides, Reason a sentence for people.
	By, Reason string
	// Override opens a release that is closed.
	Override bool
}

func (d Decision) clean() Decision {
	d.Invocation, d.By, d.Reason = sqldb.CleanText(d.Invocation), sqldb.CleanText(d.By), sqldb.CleanText(d.Reason)
	return d
}

// Promote approves the tags of an invocation. Those that wait move at once if all that the
// build was to push is there, or else when it is. Those that are withheld, or have been
// rolled back, move only with [Decision.Override], and only if all is there. Of tags that
// have been released, those are tried again that newer builds had.
//
// The error is [ErrUnknownInvocation], or a [*DecisionError] where it cannot be done.
func (s *Store) Promote(ctx context.Context, d Decision) (Release, error) {
	d = d.clean()
	return s.decided(ctx, d, "promote", func(ctx context.Context, tx sqldb.Conn, r Release) error {
		switch {
		case r.State == ReleaseOpen:
			return s.repeatSuperseded(ctx, tx, r, d)
		case r.State == ReleaseWaiting:
			r.approvedBy, r.approved = d.By, s.now()
			if err := s.saveDecision(ctx, tx, r); err != nil {
				return err
			}
			return s.decideLocked(ctx, tx, r)
		case !d.Override:
			return &DecisionError{fmt.Sprintf("the tags of invocation %s are withheld: %s. Only who may promote a build that is withheld can have them moved", d.Invocation, r.Reason)}
		}
		f, err := s.facts(ctx, tx, r)
		if err != nil {
			return err
		}
		if !f.invocation.Over() {
			return &DecisionError{"invocation " + d.Invocation + " has not ended: wait for its end"}
		}
		_, reason := f.whole()
		if reason == "" {
			if reason, err = s.clash(ctx, tx, d.Invocation); err != nil {
				return err
			}
		}
		if reason != "" {
			return &DecisionError{"the tags of invocation " + d.Invocation + " cannot move: " + reason}
		}
		r.approvedBy, r.approved = d.By, s.now()
		if err := s.pass(ctx, tx, &r, verdict{state: ReleaseOpen, reason: d.Reason}); err != nil {
			return err
		}
		return s.carryOut(ctx, tx, r, true)
	})
}

// repeatSuperseded has tags tried again that newer builds had: their fences may have been
// lifted since.
func (s *Store) repeatSuperseded(ctx context.Context, tx sqldb.Conn, r Release, d Decision) error {
	rows, err := s.endedAs(ctx, tx, r.Invocation, []ledger.Outcome{ledger.Superseded})
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return &DecisionError{"the tags of invocation " + d.Invocation + " have been released"}
	}
	r.By, r.Decided = d.By, s.now()
	if err := s.saveDecision(ctx, tx, r); err != nil {
		return err
	}
	return s.begin(ctx, tx, ActionTag, rows)
}

// Reject closes a release for good: its tags do not move.
//
// The error is [ErrUnknownInvocation], or a [*DecisionError] where it cannot be done.
func (s *Store) Reject(ctx context.Context, d Decision) (Release, error) {
	d = d.clean()
	return s.decided(ctx, d, "reject", func(ctx context.Context, tx sqldb.Conn, r Release) error {
		switch {
		case r.State == ReleaseOpen:
			return &DecisionError{"the tags of invocation " + d.Invocation + " have been released: roll it back instead"}
		case r.State == ReleaseClosed && r.Class != classBrokenOff:
			return &DecisionError{fmt.Sprintf("the tags of invocation %s are withheld already: %s", d.Invocation, r.Reason)}
		}
		return s.closeRelease(ctx, tx, r, classRejected, d)
	})
}

// closeRelease closes a release because somebody says so.
func (s *Store) closeRelease(ctx context.Context, tx sqldb.Conn, r Release, class string, d Decision) error {
	r.State, r.Class, r.Reason, r.By, r.Decided = ReleaseClosed, class, d.Reason, d.By, s.now()
	if err := s.saveDecision(ctx, tx, r); err != nil {
		return err
	}
	return s.carryOut(ctx, tx, r, false)
}

// decided has somebody decide on a release, and returns what it has become.
func (s *Store) decided(ctx context.Context, d Decision, verb string, act func(context.Context, sqldb.Conn, Release) error) (Release, error) {
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		r, found, err := s.lockRelease(ctx, tx, d.Invocation)
		if err != nil {
			return err
		}
		if !found {
			if err := s.checkKnown(ctx, tx, d.Invocation); err != nil {
				return err
			}
			return &DecisionError{"nothing of invocation " + d.Invocation + " waits at a gate"}
		}
		if err := act(ctx, tx, r); err != nil {
			return err
		}
		return s.postCompleted(ctx, tx, d.Invocation)
	})
	if err == nil {
		s.changes.tell(d.Invocation)
		var r Release
		if r, _, err = s.Release(ctx, d.Invocation); err == nil {
			return r, nil
		}
	}
	if refused, ok := errors.AsType[*DecisionError](err); ok {
		return Release{}, refused
	}
	return Release{}, fmt.Errorf("%s invocation %s: %w", verb, d.Invocation, err)
}

// checkKnown is [ErrUnknownInvocation] for an invocation of which the store knows nothing.
func (s *Store) checkKnown(ctx context.Context, c sqldb.Conn, invocation string) error {
	found, err := sqldb.QueryRow(ctx, c, `SELECT id FROM invocation WHERE id = ? UNION ALL SELECT invocation_id FROM expected WHERE invocation_id = ? LIMIT 1`,
		[]any{invocation, invocation}, new(string))
	if err == nil && !found {
		err = ErrUnknownInvocation
	}
	return err
}
