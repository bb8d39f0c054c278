package store

import (
	"context"
	"fmt"
	"time"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// Fence is what is known of who wrote a tag last: builds that are older leave it alone.
type Fence struct {
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	// Digest is what the tag points to, as far as the daemon knows; Invocation and Target
	// are who had it written. Digest is empty if the tag was removed.
	Digest     string `json:"digest,omitzero"`
	Invocation string `json:"invocation,omitzero"`
	Target     string `json:"target,omitzero"`
	// Started and Number are that build's place in the order. Both are zero where the
	// fence has been lifted: then any build may write the tag.
	Started time.Time `json:"started,omitzero"`
	Number  int64     `json:"number,omitzero"`
	// Job is the job that is writing the tag now, or 0.
	Job int64 `json:"job,omitzero"`
	// LiftedBy is who lifted the fence last, and Lifted when.
	LiftedBy string    `json:"liftedBy,omitzero"`
	Lifted   time.Time `json:"lifted,omitzero"`
}

// Fences are those of a repository's tags, or of one tag if it is given, in the order of
// the tags.
func (s *Store) Fences(ctx context.Context, registry, repository, tag string, limit int) ([]Fence, error) {
	where, args := `registry = ? AND repository = ?`, []any{registry, repository}
	if tag != "" {
		where += ` AND tag = ?`
		args = append(args, tag)
	}
	list := []Fence{}
	now := sqldb.Micros(s.leaseTime())
	err := s.db.Read().Query(ctx, `SELECT tag, digest, invocation_id, target, started, number, COALESCE(lease_job, 0), lease_until, lifted_by, lifted
		FROM tag_fence WHERE `+where+fmt.Sprintf(` ORDER BY tag LIMIT %d`, min(max(limit, 1), ledger.MaxLimit)), args,
		func(scan sqldb.Scan) error {
			f := Fence{Registry: registry, Repository: repository}
			var started, until, lifted int64
			if err := scan(&f.Tag, &f.Digest, &f.Invocation, &f.Target, &started, &f.Number, &f.Job, &until, &f.LiftedBy, &lifted); err != nil {
				return err
			}
			if until <= now {
				f.Job = 0
			}
			f.Started, f.Lifted = sqldb.FromMicros(started), sqldb.FromMicros(lifted)
			list = append(list, f)
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("read the fences of %s/%s: %w", registry, repository, err)
	}
	return list, nil
}

// LiftFence lets any build write a tag again, or all tags of the repository if none is
// given, until one has. What the tags point to stays as it is. It returns how many fences
// there were to lift.
func (s *Store) LiftFence(ctx context.Context, registry, repository, tag, by string) (int, error) {
	where, args := `registry = ? AND repository = ?`, []any{sqldb.CleanText(by), sqldb.Micros(s.now()), registry, repository}
	if tag != "" {
		where += ` AND tag = ?`
		args = append(args, tag)
	}
	var n int64
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) (err error) {
		n, err = tx.Exec(ctx, `UPDATE tag_fence SET started = 0, number = 0, lifted_by = ?, lifted = ?
			WHERE `+where+` AND (started <> 0 OR number <> 0)`, args...)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("lift the fence of %s/%s:%s: %w", registry, repository, tag, err)
	}
	return int(n), nil
}
