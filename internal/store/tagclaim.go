package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// TagClaim asks to write tags of one repository.
type TagClaim struct {
	Registry, Repository string
	Tags                 []string
	// Digest is what the tags are to point to, and Target what asks for it.
	Digest, Target string
	// Invocation and Started say which build it is: [Invocation.Order]. The later a build
	// was started the newer it is. Zero counts as now.
	Invocation string
	Started    time.Time
	// Number decides before Started does where both builds have one: [Invocation.Number].
	Number int64
	// Restore claims tags to put them back to what they pointed to before: no other target
	// of the build is in the way then, and a newer build is even if its image is the same.
	Restore bool
	// Previous are what the tags pointed to when they were looked at, as far as they were;
	// "" is a tag that was not there. See [TagGrant.Previous].
	Previous map[string]string
}

// TagGrant is the answer to a claim.
type TagGrant struct {
	// Tags may be written until Lease has ended: a request that has not been sent by
	// then must not be. It ends with the attempt.
	Tags  []string
	Lease *Lease
	// Previous is what tags pointed to before this build wrote them. A tag that points to the
	// claim's image by now may do so because an earlier job of the build has written it, and
	// perhaps died: then it is what that one said in [TagClaim.Previous]. Tags of which
	// nobody said anything are not in it.
	Previous map[string]string
	// Last is what the last job that has ended wrote under a tag: if that is not what the
	// tag pointed to when it was looked at, it has to be looked at again.
	Last map[string]string
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
		var previous any // NULL where nobody has looked
		if digest, looked := c.Previous[tag]; looked {
			previous = digest
		}
		args = append(args, c.Registry, c.Repository, tag, c.id.job, sqldb.Micros(until), sqldb.Micros(c.Started), c.Number, c.Invocation, c.Digest, c.Target, previous)
	}
	allowed := `(` + notNewer + ` OR tag_fence.digest = excluded.lease_digest) AND ` + noConflict
	if c.Restore {
		allowed = notNewer
	}
	granted := map[string]bool{}
	err := tx.Query(ctx, `INSERT INTO tag_fence (registry, repository, tag, lease_job, lease_until, lease_started, lease_number, lease_invocation, lease_digest, lease_target, lease_previous)
		VALUES `+sqldb.Values(len(c.Tags), "(?,?,?,?,?,?,?,?,?,?,?)")+`
		ON CONFLICT (registry, repository, tag) DO UPDATE SET lease_job = excluded.lease_job, lease_until = excluded.lease_until,
			lease_started = excluded.lease_started, lease_number = excluded.lease_number, lease_invocation = excluded.lease_invocation,
			lease_digest = excluded.lease_digest, lease_target = excluded.lease_target,
			lease_previous = CASE WHEN tag_fence.lease_previous IS NOT NULL AND tag_fence.lease_invocation = excluded.lease_invocation
				AND tag_fence.lease_digest = excluded.lease_digest AND COALESCE(excluded.lease_previous, excluded.lease_digest) = excluded.lease_digest
				THEN tag_fence.lease_previous ELSE excluded.lease_previous END
		WHERE (tag_fence.lease_job IS NULL OR tag_fence.lease_job = excluded.lease_job OR tag_fence.lease_until <= ?) AND `+allowed+`
		RETURNING tag, invocation_id, digest, target, lease_previous`, append(args, sqldb.Micros(now)), func(scan sqldb.Scan) error {
		var tag, invocation string
		var previous *string
		other := ConflictingTag{Ours: true}
		if err := scan(&tag, &invocation, &other.Digest, &other.Target, &previous); err != nil {
			return err
		}
		granted[tag] = true
		if other.Digest != "" {
			if c.grant.Last == nil {
				c.grant.Last = map[string]string{}
			}
			c.grant.Last[tag] = other.Digest
		}
		if previous != nil {
			if c.grant.Previous == nil {
				c.grant.Previous = map[string]string{}
			}
			c.grant.Previous[tag] = *previous
		}
		if !c.Restore && invocation == c.Invocation && other.Digest != c.Digest && other.Target != "" {
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

const (
	// notNewer is a condition: the build that wrote the tag is not newer than the one
	// that claims it. Numbers decide if both have one and they differ.
	notNewer = `(CASE WHEN tag_fence.number <> 0 AND excluded.lease_number <> 0 AND tag_fence.number <> excluded.lease_number
			THEN tag_fence.number < excluded.lease_number ELSE tag_fence.started <= excluded.lease_started END)`

	// noConflict is a condition: no other target of the build that comes first has the tag
	// for another image.
	noConflict = `(tag_fence.invocation_id <> excluded.lease_invocation OR tag_fence.digest = excluded.lease_digest OR tag_fence.target = ''
			OR (tag_fence.target, tag_fence.digest) > (excluded.lease_target, excluded.lease_digest))`
)

// isNewer tells whether a build is newer than the one that claims.
func (c *tagClaim) isNewer(started, number int64) bool {
	if number != 0 && c.Number != 0 && number != c.Number {
		return number > c.Number
	}
	return started > sqldb.Micros(c.Started)
}

// refusedTag finds out why a tag was not granted.
func (s *Store) refusedTag(ctx context.Context, tx sqldb.Conn, c *tagClaim, tag string, now time.Time) error {
	newer := SupersededTag{Name: tag}
	var target string
	var started, number, until, holder int64
	_, err := sqldb.QueryRow(ctx, tx, `SELECT started, number, invocation_id, digest, target, lease_until, COALESCE(lease_job, 0) FROM tag_fence WHERE registry = ? AND repository = ? AND tag = ?`,
		[]any{c.Registry, c.Repository, tag}, &started, &number, &newer.Invocation, &newer.Digest, &target, &until, &holder)
	if err != nil {
		return err
	}
	if !c.Restore && newer.Invocation == c.Invocation && newer.Digest != c.Digest && target != "" &&
		cmp.Or(strings.Compare(target, c.Target), strings.Compare(newer.Digest, c.Digest)) < 0 {
		c.grant.Conflicts = append(c.grant.Conflicts, ConflictingTag{Name: tag, Digest: newer.Digest, Target: target})
		return nil
	}
	if c.isNewer(started, number) && (c.Restore || newer.Digest != c.Digest) {
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
