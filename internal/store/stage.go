package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// decideOn decides on the releases of rows that have been written.
func (s *Store) decideOn(ctx context.Context, tx sqldb.Conn, entries []ledger.Entry) error {
	if err := s.stage(ctx, tx, entries); err != nil {
		return err
	}
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.InvocationID
	}
	return s.decideAll(ctx, tx, ids)
}

// stage makes the releases of pushes that were staged, or notes their gates.
func (s *Store) stage(ctx context.Context, tx sqldb.Conn, entries []ledger.Entry) error {
	type group struct {
		gate   string
		staged time.Time
	}
	groups := map[string]group{}
	for _, e := range entries {
		if e.Outcome != ledger.Staged {
			continue
		}
		g, there := groups[e.InvocationID]
		if !there || e.Time.Before(g.staged) {
			g.staged = e.Time
		}
		if g.gate != gateApproved {
			g.gate = e.Gate
		}
		groups[e.InvocationID] = g
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		g := groups[id]
		_, err := tx.Exec(ctx, `INSERT INTO release (invocation_id, gate, state, staged, created) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (invocation_id) DO UPDATE SET gate = CASE WHEN release.gate = '`+gateApproved+`' THEN release.gate ELSE excluded.gate END,
				staged = CASE WHEN release.staged > 0 AND release.staged < excluded.staged THEN release.staged ELSE excluded.staged END`,
			id, g.gate, string(ReleaseWaiting), sqldb.Micros(g.staged), sqldb.Micros(s.leaseTime()))
		if err != nil {
			return fmt.Errorf("note what waits at a gate: %w", err)
		}
	}
	return nil
}

// decideAll decides on those of the invocations that have a release.
func (s *Store) decideAll(ctx context.Context, tx sqldb.Conn, invocations []string) error {
	invocations = slices.Compact(slices.Sorted(slices.Values(invocations))) // in one order everywhere
	if len(invocations) == 0 {
		return nil
	}
	args := make([]any, len(invocations))
	for i, id := range invocations {
		args[i] = id
	}
	gated := map[string]bool{}
	err := tx.Query(ctx, `SELECT invocation_id FROM release WHERE invocation_id IN (`+sqldb.Values(len(args), "?")+`)`, args, func(scan sqldb.Scan) error {
		var id string
		err := scan(&id)
		gated[id] = true
		return err
	})
	if err != nil {
		return fmt.Errorf("look for releases: %w", err)
	}
	for _, id := range invocations {
		if gated[id] {
			if _, err := s.decide(ctx, tx, id); err != nil {
				return err
			}
		}
	}
	return nil
}
