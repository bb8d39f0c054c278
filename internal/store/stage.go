package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// stagedGroup is what a transaction stages of one invocation.
type stagedGroup struct {
	gate string
	// since is when the first image was staged.
	since time.Time
}

// decideOn decides on the releases of rows that have been written, and makes those of
// pushes that were staged.
func (s *Store) decideOn(ctx context.Context, tx sqldb.Conn, entries []ledger.Entry) error {
	ids := make([]string, len(entries))
	groups := map[string]stagedGroup{}
	for i, e := range entries {
		ids[i] = e.InvocationID
		if e.Outcome != ledger.Staged {
			continue
		}
		g, there := groups[e.InvocationID]
		if !there || e.Time.Before(g.since) {
			g.since = e.Time
		}
		if g.gate != gateApproved {
			g.gate = e.Gate
		}
		groups[e.InvocationID] = g
	}
	return s.decideAll(ctx, tx, ids, groups)
}

// decideAll decides on those of the invocations that have a release, or get one.
func (s *Store) decideAll(ctx context.Context, tx sqldb.Conn, invocations []string, groups map[string]stagedGroup) error {
	// One after another, in one order everywhere, so that two daemons do not wait for one
	// another.
	invocations = slices.Compact(slices.Sorted(slices.Values(invocations)))
	gated, err := haveReleases(ctx, tx, invocations)
	if err != nil {
		return err
	}
	for _, id := range invocations {
		group, staged := groups[id]
		if staged {
			if err := s.stage(ctx, tx, id, group); err != nil {
				return err
			}
		}
		if staged || gated[id] {
			if err := s.decide(ctx, tx, id); err != nil {
				return err
			}
		}
	}
	return s.postCompleted(ctx, tx, invocations...)
}

// stage makes the release of an invocation, or notes that it has staged more.
func (s *Store) stage(ctx context.Context, tx sqldb.Conn, invocation string, group stagedGroup) error {
	_, err := tx.Exec(ctx, `INSERT INTO release (invocation_id, gate, state, staged, created) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (invocation_id) DO UPDATE SET gate = CASE WHEN release.gate = '`+gateApproved+`' THEN release.gate ELSE excluded.gate END,
			staged = CASE WHEN release.staged > 0 AND release.staged < excluded.staged THEN release.staged ELSE excluded.staged END`,
		invocation, group.gate, string(ReleaseWaiting), sqldb.Micros(group.since), sqldb.Micros(s.leaseTime()))
	if err != nil {
		return fmt.Errorf("note what waits at a gate: %w", err)
	}
	return nil
}

// haveReleases tells which of the invocations have a release.
func haveReleases(ctx context.Context, tx sqldb.Conn, invocations []string) (map[string]bool, error) {
	gated := map[string]bool{}
	for piece := range slices.Chunk(invocations, maxRead) {
		args := make([]any, len(piece))
		for i, id := range piece {
			args[i] = id
		}
		err := tx.Query(ctx, `SELECT invocation_id FROM release WHERE invocation_id IN (`+sqldb.Values(len(args), "?")+`)`, args, func(scan sqldb.Scan) error {
			var id string
			err := scan(&id)
			gated[id] = true
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look for releases: %w", err)
		}
	}
	return gated, nil
}
