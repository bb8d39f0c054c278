package store

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/outbox"
	"github.com/drayage/drayage/internal/sqldb"
)

// maxCompletedImages bounds the images of one event.
const maxCompletedImages = 2000

// postCompleted posts an event about each of the invocations that has become complete: it
// is over, all its pushes have ended, and no tag waits at a gate. It is called at the end
// of every transaction that may make one so, for invocations in one order everywhere.
//
// It locks before it looks: of two transactions that each do a half of what is left, the
// one that is second sees the other's.
func (s *Store) postCompleted(ctx context.Context, tx sqldb.Conn, invocations ...string) error {
	if !s.outbox.Tells(outbox.Invocation) {
		return nil
	}
	for _, id := range invocations {
		if err := s.postOneCompleted(ctx, tx, id); err != nil {
			return fmt.Errorf("post that invocation %s is complete: %w", id, err)
		}
	}
	return nil
}

func (s *Store) postOneCompleted(ctx context.Context, tx sqldb.Conn, id string) error {
	var sequence, last, finished int64
	_, err := sqldb.QueryRow(ctx, tx, `INSERT INTO completion (invocation_id) VALUES (?)
		ON CONFLICT (invocation_id) DO UPDATE SET invocation_id = excluded.invocation_id
		RETURNING sequence, last_entry, finished`, []any{id}, &sequence, &last, &finished)
	if err != nil {
		return err
	}
	release, gated, err := s.readRelease(ctx, tx, id, "")
	if err != nil || gated && release.State == ReleaseWaiting {
		return err
	}
	f, err := s.facts(ctx, tx, Release{Invocation: id})
	if err != nil || !f.invocation.Over() || f.pending > 0 {
		return err
	}
	var pushes, newest int64
	if _, err := sqldb.QueryRow(ctx, tx, `SELECT COUNT(*), COALESCE(MAX(entry_id), 0) FROM expected WHERE invocation_id = ?`, []any{id}, &pushes, &newest); err != nil {
		return err
	}
	nowFinished := int64(0)
	if f.invocation.Finished {
		nowFinished = 1
	}
	nothing := pushes == 0 && f.missing.n == 0
	if nothing || newest <= last && nowFinished == finished {
		return nil
	}
	sequence++
	if _, err := tx.Exec(ctx, `UPDATE completion SET sequence = ?, last_entry = ?, finished = ? WHERE invocation_id = ?`, sequence, newest, nowFinished, id); err != nil {
		return err
	}
	c, err := s.completion(ctx, tx, f)
	if err != nil {
		return err
	}
	c.Sequence = sequence
	if gated {
		c.Release = &ledger.ReleaseDecision{
			Gate: release.Gate, State: string(release.State), Class: release.Class, Reason: release.Reason, By: release.By, Decided: release.Decided,
		}
	}
	body, err := json.Marshal(c, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return s.outbox.PostMessage(ctx, tx, outbox.Invocation, outbox.Message{Subject: id, Body: body})
}

// completion is what has become of an invocation's pushes.
func (s *Store) completion(ctx context.Context, tx sqldb.Conn, f facts) (ledger.Completion, error) {
	i := f.invocation
	c := ledger.Completion{
		InvocationID: i.ID, BuildID: i.Build, Command: i.Command, ExitCode: i.ExitCode, BrokenOff: i.BrokenOff, Metadata: i.Metadata,
		Outcomes: map[ledger.Outcome]int{}, Missing: f.missing.n, Unconfigured: i.Unconfigured, Images: []ledger.CompletedImage{},
	}
	id := []any{i.ID}
	ended := 0
	err := tx.Query(ctx, `SELECT outcome, COUNT(*) FROM expected WHERE invocation_id = ? AND entry_id IS NOT NULL GROUP BY outcome`, id, func(scan sqldb.Scan) error {
		var outcome ledger.Outcome
		var n int
		err := scan(&outcome, &n)
		c.Outcomes[outcome] = n
		ended += n
		return err
	})
	if err != nil {
		return c, err
	}
	var numbers []int64
	err = tx.Query(ctx, `SELECT entry_id FROM expected WHERE invocation_id = ? AND entry_id IS NOT NULL ORDER BY id`+fmt.Sprintf(` LIMIT %d`, maxCompletedImages), id,
		func(scan sqldb.Scan) error {
			var number int64
			err := scan(&number)
			numbers = append(numbers, number)
			return err
		})
	if err != nil {
		return c, err
	}
	entries, err := s.readEntries(ctx, tx, numbers)
	if err != nil {
		return c, err
	}
	for _, number := range numbers {
		e := entries[number]
		if c.Commit == "" {
			c.Commit, c.Branch, c.Dirty = e.Commit, e.Branch, e.Dirty
		}
		image := ledger.CompletedImage{
			Target: e.Target, Outcome: e.Outcome, ErrorClass: e.ErrorClass, Registry: e.Registry, Repository: e.Repository, Digest: e.Digest,
			HeldTags: e.HeldTags, Entry: number,
		}
		for _, tag := range e.Tags {
			image.Tags = append(image.Tags, tag.Name)
		}
		c.Images = append(c.Images, image)
	}
	c.Omitted = ended - len(numbers)
	return c, nil
}
