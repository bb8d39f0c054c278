package store

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// removedTag is the Digest of a [ledger.Tag] that was removed.
const removedTag = "none"

// releaseTags ends the leases of jobs whose runs end: those that wrote their tags
// are noted as the tags' last writers. Manifests that were kept for them may go.
func (s *Store) releaseTags(ctx context.Context, tx sqldb.Conn, batch []*settlement) error {
	var wrote, restored, others []any
	for _, b := range batch {
		switch {
		case b.lost:
		case b.entry != nil && wroteTags(*b.entry):
			wrote = append(wrote, b.id.job)
		case b.entry != nil && b.entry.Outcome == ledger.RolledBack:
			if err := putBack(ctx, tx, *b.entry); err != nil {
				return fmt.Errorf("note which tags were put back: %w", err)
			}
			restored = append(restored, b.id.job)
		default:
			others = append(others, b.id.job)
		}
	}
	for _, update := range []struct {
		set  string
		jobs []any
	}{
		{wroteLeased, wrote},
		{`lease_job = NULL, lease_previous = NULL`, restored},
		{`lease_job = NULL`, others},
	} {
		if len(update.jobs) == 0 {
			continue
		}
		_, err := tx.Exec(ctx, `UPDATE tag_fence SET `+update.set+` WHERE lease_job IN (`+
			sqldb.Values(len(update.jobs), "?")+`)`, update.jobs...)
		if err != nil {
			return fmt.Errorf("release tags: %w", err)
		}
	}
	return s.dropKept(ctx, tx, wrote)
}

// wroteTags tells whether the tags that the job has a lease of are written.
func wroteTags(e ledger.Entry) bool {
	return e.Outcome.Good() || e.Outcome == ledger.Superseded || e.ErrorClass == ledger.ClassConflict
}

// sameAndNewer is a condition: a newer build has written the same image. It stays the one
// that builds are compared with, or one in between could write over its tag.
const sameAndNewer = `digest = lease_digest AND (CASE WHEN number <> 0 AND lease_number <> 0 AND number <> lease_number
		THEN number > lease_number ELSE started > lease_started END)`

// wroteLeased makes the holders of leases the tags' last writers. Of targets of a build
// that push the same image under a tag, the first label stands for all.
const wroteLeased = `started = CASE WHEN ` + sameAndNewer + ` THEN started ELSE lease_started END,
	number = CASE WHEN ` + sameAndNewer + ` THEN number ELSE lease_number END,
	invocation_id = CASE WHEN ` + sameAndNewer + ` THEN invocation_id ELSE lease_invocation END,
	target = CASE WHEN ` + sameAndNewer + ` OR (invocation_id = lease_invocation AND digest = lease_digest AND target <> '' AND target < lease_target)
		THEN target ELSE lease_target END,
	digest = lease_digest, lease_job = NULL, lease_previous = NULL`

// putBack notes what tags point to after a rollback. The order stays the build's that was
// rolled back: older builds do not come back by it.
func putBack(ctx context.Context, tx sqldb.Conn, e ledger.Entry) error {
	for _, tag := range e.Tags {
		if tag.Digest == "" {
			continue
		}
		digest := tag.Digest
		if digest == removedTag {
			digest = ""
		}
		// No target has it any more: if the build is promoted all the same, each of its
		// targets may have the tag.
		_, err := tx.Exec(ctx, `UPDATE tag_fence SET digest = ?, target = '' WHERE registry = ? AND repository = ? AND tag = ? AND lease_job = ?`,
			digest, e.Registry, e.Repository, tag.Name, e.Job)
		if err != nil {
			return err
		}
	}
	return nil
}
