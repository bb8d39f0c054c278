package store

import (
	"context"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// Release says whether the tags of one invocation move that wait at a gate. All of them
// move together, or none does. See docs/release.md.
type Release struct {
	Invocation string
	// Gate is the strictest that a push of the invocation waits at: green or approved. It
	// is pushed for a build that was rolled back and had no gate.
	Gate  string
	State ReleaseState
	// Class is one word for programs, and Reason a sentence for people: what it waits
	// for, or why it is closed.
	Class, Reason string
	// Blocked says that it waits, and that nothing more happens by itself: a push has
	// ended badly and may be requeued, or somebody has to approve.
	Blocked bool
	// By is the client who decided, or "" if nobody had to; Decided is when.
	By      string
	Decided time.Time

	// approvedBy is who has approved it, at the time approved.
	approvedBy string
	approved   time.Time
	// staged is when its oldest image was.
	staged time.Time
}

// ReleaseState is whether tags move.
type ReleaseState string

// The states.
const (
	// ReleaseWaiting: the tags wait.
	ReleaseWaiting ReleaseState = "waiting"
	// ReleaseOpen: the tags move, or have moved.
	ReleaseOpen ReleaseState = "open"
	// ReleaseClosed: the tags do not move.
	ReleaseClosed ReleaseState = "closed"
)

// The gates, as the ledger names them.
const (
	gatePushed   = "pushed"
	gateApproved = "approved"
)

// Classes of releases that are closed.
const (
	classBrokenOff  = "broken-off"
	classRed        = "red"
	classIncomplete = "incomplete"
	classExpired    = "expired"
	classRejected   = "rejected"
	classRolledBack = "rolled-back"
)

// Classes of releases that wait.
const (
	classBuilding = "building"
	classPending  = "pending"
	classFailed   = "failed"
	classApproval = "approval"
)

// Release is what the store knows of the tags of an invocation that wait at a gate, or
// have; false where none ever did.
func (s *Store) Release(ctx context.Context, invocation string) (Release, bool, error) {
	r, found, err := s.readRelease(ctx, s.db.Read(), sqldb.CleanText(invocation), "")
	if err == nil && found && r.State == ReleaseWaiting {
		var f facts
		if f, err = s.facts(ctx, s.db.Read(), r); err == nil {
			v := s.verdict(r, f)
			r.Class, r.Reason, r.Blocked = v.class, v.reason, v.blocked
			r.By, r.Decided = r.approvedBy, r.approved
		}
	}
	if err != nil {
		return Release{}, false, fmt.Errorf("read the release of invocation %s: %w", invocation, err)
	}
	return r, found, nil
}

// readRelease reads a row. A suffix can lock it.
func (s *Store) readRelease(ctx context.Context, c sqldb.Conn, invocation, suffix string) (Release, bool, error) {
	r := Release{Invocation: invocation}
	var decided, approved, staged int64
	found, err := sqldb.QueryRow(ctx, c, `SELECT gate, state, class, reason, decided_by, decided, approved_by, approved, staged
		FROM release WHERE invocation_id = ?`+suffix, []any{invocation},
		&r.Gate, &r.State, &r.Class, &r.Reason, &r.By, &decided, &r.approvedBy, &approved, &staged)
	r.Decided, r.approved, r.staged = sqldb.FromMicros(decided), sqldb.FromMicros(approved), sqldb.FromMicros(staged)
	return r, found && err == nil, err
}

// lockRelease reads a row that stays as it is until the transaction ends.
func (s *Store) lockRelease(ctx context.Context, tx sqldb.Conn, invocation string) (Release, bool, error) {
	return s.readRelease(ctx, tx, invocation, s.db.Dialect().ForUpdate)
}

// saveDecision writes what has been decided.
func (s *Store) saveDecision(ctx context.Context, tx sqldb.Conn, r Release) error {
	_, err := tx.Exec(ctx, `UPDATE release SET state = ?, class = ?, reason = ?, decided_by = ?, decided = ?, approved_by = ?, approved = ?
		WHERE invocation_id = ?`, string(r.State), r.Class, sqldb.CleanText(r.Reason), sqldb.CleanText(r.By), sqldb.Micros(r.Decided),
		sqldb.CleanText(r.approvedBy), sqldb.Micros(r.approved), r.Invocation)
	return err
}
