package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// TagClaim asks to write tags of one repository.
type TagClaim struct {
	Registry, Repository string
	Tags                 []string
	// Digest is what the tags are to point to, and Target what asks for it.
	Digest, Target string
	// Invocation and Started say which build it is. The later a build was started
	// the newer it is. Zero counts as now.
	Invocation string
	Started    time.Time
}

// TagGrant is the answer to a claim.
type TagGrant struct {
	// Tags may be written until Lease has ended: a request that has not been sent by
	// then must not be. It ends with the attempt.
	Tags  []string
	Lease *Lease
	// Superseded are the tags that a newer build has written. They stay as they
	// are.
	Superseded []SupersededTag
	// Conflicts are the tags under which another target of the same build has pushed
	// another image. If one of them is the other target's, no tag is granted at all.
	Conflicts []ConflictingTag
}

// ConflictingTag is a tag that two targets of one build want for two images. It is the
// one's whose label comes first, byte by byte, and of one target that of the lower
// digest: whichever of them is pushed first, the tag ends up at the same image.
type ConflictingTag struct {
	Name string
	// Digest is what the other Target has pushed.
	Digest, Target string
	// Ours says that the tag is the claim's, and that the other's image had it.
	Ours bool
}

func isOthers(c ConflictingTag) bool { return !c.Ours }

// SupersededTag is a tag that points to a newer build's image.
type SupersededTag struct {
	Name string
	// Digest is what it points to, Invocation the build that wrote it, which was
	// begun at Started.
	Digest, Invocation string
	Started            time.Time
}

// ClaimTags is asked right before tags are written. It keeps an older build that
// finishes late from writing over a newer one's tags, and a worker that has lost
// its job from writing at all. The tags that are granted count as written by this
// build when the job ends as pushed, present or superseded, or for want of tags of their
// own ([ledger.ClassConflict]).
//
// The error is [ErrLost] where the attempt is not the job's current one, and a
// [*PostponeError] while another job is writing one of the tags; [Worker.Work]
// can return either as it is.
func (s *Store) ClaimTags(ctx context.Context, attempt Attempt, claim TagClaim) (TagGrant, error) {
	if len(claim.Tags) == 0 {
		return TagGrant{}, nil
	}
	asked := time.Now()
	claim.Tags = slices.Compact(slices.Sorted(slices.Values(claim.Tags))) // one order, so that nobody waits in a circle
	c := &tagClaim{TagClaim: claim, id: attempt.id}
	if c.Started.IsZero() {
		c.Started = s.now()
	}
	if err := s.claims.do(ctx, claim.Registry, 1, c); err != nil {
		return TagGrant{}, fmt.Errorf("claim tags of %s/%s: %w", claim.Registry, claim.Repository, err)
	}
	if c.lost {
		return TagGrant{}, ErrLost
	}
	if c.busy > 0 && !slices.ContainsFunc(c.grant.Conflicts, isOthers) {
		return TagGrant{}, &PostponeError{After: c.busy, Freed: s.underWay.ended(c.holder)}
	}
	if len(c.grant.Tags) > 0 {
		c.grant.Lease = s.tags.hold(attempt.id, asked, s.options.Lease)
	}
	return c.grant, nil
}

// tagClaim is a claim on its way, and its answer.
type tagClaim struct {
	TagClaim
	id runID

	lost bool
	// busy is how long the lease of another job goes on, the holder.
	busy   time.Duration
	holder int64
	grant  TagGrant
}

// claimTags answers claims, of runs that are their jobs' current ones.
func (s *Store) claimTags(ctx context.Context, batch []*tagClaim) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		runs := make([]runID, len(batch))
		for i, c := range batch {
			runs[i] = c.id
		}
		current, err := s.checkRuns(ctx, tx, runs)
		if err != nil {
			return err
		}
		for _, c := range batch {
			c.lost, c.busy, c.holder, c.grant = !current[c.id], 0, 0, TagGrant{}
			if c.lost {
				continue
			}
			if err := s.claimOne(ctx, tx, c); err != nil {
				return err
			}
			if slices.ContainsFunc(c.grant.Conflicts, isOthers) {
				c.grant.Tags = nil
				if _, err := tx.Exec(ctx, `UPDATE tag_fence SET lease_job = NULL WHERE lease_job = ?`, c.id.job); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// claimOne takes the lease of every tag that is free, and neither a newer build's nor
// another target's of this one.
func (s *Store) claimOne(ctx context.Context, tx sqldb.Conn, c *tagClaim) error {
	now := s.leaseTime()
	until := now.Add(s.options.Lease)
	var args []any
	for _, tag := range c.Tags {
		args = append(args, c.Registry, c.Repository, tag, c.id.job, sqldb.Micros(until), sqldb.Micros(c.Started), c.Invocation, c.Digest, c.Target)
	}
	granted := map[string]bool{}
	err := tx.Query(ctx, `INSERT INTO tag_fence (registry, repository, tag, lease_job, lease_until, lease_started, lease_invocation, lease_digest, lease_target)
		VALUES `+sqldb.Values(len(c.Tags), "(?,?,?,?,?,?,?,?,?)")+`
		ON CONFLICT (registry, repository, tag) DO UPDATE SET lease_job = excluded.lease_job, lease_until = excluded.lease_until,
			lease_started = excluded.lease_started, lease_invocation = excluded.lease_invocation, lease_digest = excluded.lease_digest,
			lease_target = excluded.lease_target
		WHERE (tag_fence.lease_job IS NULL OR tag_fence.lease_job = excluded.lease_job OR tag_fence.lease_until <= ?)
			AND (tag_fence.started <= excluded.lease_started OR tag_fence.digest = excluded.lease_digest)
			AND (tag_fence.invocation_id <> excluded.lease_invocation OR tag_fence.digest = excluded.lease_digest OR tag_fence.target = ''
				OR (tag_fence.target, tag_fence.digest) > (excluded.lease_target, excluded.lease_digest))
		RETURNING tag, invocation_id, digest, target`, append(args, sqldb.Micros(now)), func(scan sqldb.Scan) error {
		var tag, invocation string
		other := ConflictingTag{Ours: true}
		if err := scan(&tag, &invocation, &other.Digest, &other.Target); err != nil {
			return err
		}
		granted[tag] = true
		if invocation == c.Invocation && other.Digest != c.Digest && other.Target != "" {
			other.Name = tag
			c.grant.Conflicts = append(c.grant.Conflicts, other)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, tag := range c.Tags {
		if granted[tag] {
			c.grant.Tags = append(c.grant.Tags, tag)
			continue
		}
		if err := s.refusedTag(ctx, tx, c, tag, now); err != nil {
			return err
		}
	}
	return nil
}

// refusedTag finds out why a tag was not granted.
func (s *Store) refusedTag(ctx context.Context, tx sqldb.Conn, c *tagClaim, tag string, now time.Time) error {
	newer := SupersededTag{Name: tag}
	var target string
	var started, until, holder int64
	_, err := sqldb.QueryRow(ctx, tx, `SELECT started, invocation_id, digest, target, lease_until, COALESCE(lease_job, 0) FROM tag_fence WHERE registry = ? AND repository = ? AND tag = ?`,
		[]any{c.Registry, c.Repository, tag}, &started, &newer.Invocation, &newer.Digest, &target, &until, &holder)
	if err != nil {
		return err
	}
	if newer.Invocation == c.Invocation && newer.Digest != c.Digest && target != "" &&
		cmp.Or(strings.Compare(target, c.Target), strings.Compare(newer.Digest, c.Digest)) < 0 {
		c.grant.Conflicts = append(c.grant.Conflicts, ConflictingTag{Name: tag, Digest: newer.Digest, Target: target})
		return nil
	}
	if started > sqldb.Micros(c.Started) && newer.Digest != c.Digest {
		newer.Started = sqldb.FromMicros(started)
		c.grant.Superseded = append(c.grant.Superseded, newer)
		return nil
	}
	if left := max(sqldb.FromMicros(until).Sub(now), time.Millisecond); left > c.busy {
		c.busy, c.holder = left, holder
	}
	return nil
}

// renewTags makes the leases of runs begin anew, and returns those that had not ended.
func (s *Store) renewTags(ctx context.Context, tx sqldb.Conn, runs []runID) (kept map[runID]bool, err error) {
	kept = map[runID]bool{}
	if len(runs) == 0 {
		return kept, nil
	}
	// A job has another worker's run by now, or none: its tags are not this one's.
	current, err := s.checkRuns(ctx, tx, runs)
	if err != nil {
		return nil, err
	}
	now := s.leaseTime()
	args := []any{sqldb.Micros(now.Add(s.options.Lease)), sqldb.Micros(now)}
	byJob := map[int64]runID{}
	for id := range current {
		byJob[id.job] = id
	}
	for _, id := range runs {
		if current[id] {
			args = append(args, id.job)
		}
	}
	if len(args) == 2 {
		return kept, nil
	}
	err = tx.Query(ctx, `UPDATE tag_fence SET lease_until = ? WHERE lease_until > ? AND lease_job IN (`+sqldb.Values(len(args)-2, "?")+`) RETURNING lease_job`, args,
		func(scan sqldb.Scan) error {
			var job int64
			err := scan(&job)
			kept[byJob[job]] = true
			return err
		})
	return kept, err
}

// releaseTags ends the leases of jobs whose runs end: those that wrote their tags
// are noted as the tags' last writers.
func (s *Store) releaseTags(ctx context.Context, tx sqldb.Conn, batch []*settlement) error {
	var wrote, others []any
	for _, b := range batch {
		switch {
		case b.lost:
		case b.entry != nil && (b.entry.Outcome.Good() || b.entry.Outcome == ledger.Superseded || b.entry.ErrorClass == ledger.ClassConflict):
			wrote = append(wrote, b.id.job)
		default:
			others = append(others, b.id.job)
		}
	}
	for _, update := range []struct {
		set  string
		jobs []any
	}{
		// Of targets that push the same image under a tag, the first label stands for all.
		{`started = lease_started, invocation_id = lease_invocation, digest = lease_digest, lease_job = NULL,
			target = CASE WHEN invocation_id = lease_invocation AND digest = lease_digest AND target <> '' AND target < lease_target
				THEN target ELSE lease_target END`, wrote},
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
	return nil
}
