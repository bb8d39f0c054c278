package store

import (
	"context"
	"fmt"

	"github.com/drayage/drayage/internal/sqldb"
)

// intake is something that a stream wants to be durable.
type intake struct {
	// invocationID is what it is for, and owner in whose name, except for the jobs, which
	// say so themselves.
	invocationID, owner string
	// client is who claims it, proved or not.
	client string
	// claim says that the invocation is to be the owner's.
	claim bool

	jobs       []Job
	invocation *Invocation
	records    [][]byte
}

// Enqueue makes jobs durable: when it returns nil they will be done. A job that
// is there already is left as it is, whatever has become of it.
//
// Long lists are committed in pieces, between which others get their turn; an
// error means that some of the jobs may be durable. Enqueue them again. An
// [*OwnerError] means that the invocation is not their owner's, and a [*QuotaError] that
// their client may have no more kept.
func (s *Store) Enqueue(ctx context.Context, jobs []Job) error {
	for len(jobs) > 0 {
		n := piece(jobs)
		if err := s.intakes.do(ctx, jobs[0].Invocation, n, intake{jobs: jobs[:n]}); err != nil {
			return fmt.Errorf("enqueue %d jobs of invocation %s: %w", len(jobs), jobs[0].Invocation, err)
		}
		jobs = jobs[n:]
	}
	return nil
}

// piece is how many of the jobs make up the next piece: a number of them, or less
// if they bring their specs along.
func piece(jobs []Job) int {
	bytes := 0
	for n, job := range jobs {
		bytes += len(job.Spec.Inline)
		if n == intakeSize/2 || (n > 0 && bytes > intakeBytes) {
			return n
		}
	}
	return len(jobs)
}

// takeIn commits what streams brought.
func (s *Store) takeIn(ctx context.Context, batch []intake) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		news := usages{}
		if err := s.admit(ctx, tx, batch, news); err != nil {
			return err
		}
		var jobs []Job
		for _, in := range batch {
			for _, job := range in.jobs {
				jobs = append(jobs, job.clean())
			}
			for _, record := range in.records {
				if _, err := tx.Exec(ctx, `INSERT INTO stream_record (invocation_id, data) VALUES (?, ?)`,
					sqldb.CleanText(in.invocationID), record); err != nil {
					return err
				}
			}
		}
		fresh, err := s.enqueue(ctx, tx, jobs)
		if err != nil {
			return err
		}
		news.addJobs(fresh)
		if err := s.charge(ctx, tx, news); err != nil {
			return err
		}
		// Last: an invocation that is saved as finished has all its jobs.
		var finished []string
		for _, in := range batch {
			if in.invocation == nil {
				continue
			}
			over, err := s.saveInvocation(ctx, tx, *in.invocation)
			if err != nil {
				return err
			}
			if over {
				finished = append(finished, sqldb.CleanText(in.invocation.ID))
			}
		}
		return s.decideAll(ctx, tx, finished, nil)
	})
}

// jobKey is what makes a job unique.
type jobKey struct{ invocation, target, spec string }

// enqueue inserts the jobs that were never expected before, and returns them.
func (s *Store) enqueue(ctx context.Context, tx sqldb.Conn, jobs []Job) ([]Job, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	byKey := make(map[jobKey]Job, len(jobs))
	var args []any
	found := sqldb.Micros(s.now())
	for _, job := range jobs {
		key := jobKey{job.Invocation, job.Target, job.Spec.Digest()}
		if _, twice := byKey[key]; twice {
			continue
		}
		byKey[key] = job
		args = append(args, key.invocation, key.target, job.Configuration, job.Aspect, key.spec, found, job.Client)
	}

	var ids []int64
	var fresh []Job
	err := tx.Query(ctx, `INSERT INTO expected (invocation_id, target, configuration, aspect, spec_digest, found, client)
		VALUES `+sqldb.Values(len(byKey), "(?,?,?,?,?,?,?)")+`
		ON CONFLICT (invocation_id, target, spec_digest) DO NOTHING
		RETURNING id, invocation_id, target, spec_digest`, args,
		func(scan sqldb.Scan) error {
			var id int64
			var key jobKey
			if err := scan(&id, &key.invocation, &key.target, &key.spec); err != nil {
				return err
			}
			ids = append(ids, id)
			fresh = append(fresh, byKey[key])
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("insert expected pushes: %w", err)
	}
	if len(fresh) == 0 {
		return nil, nil
	}

	numbers, err := s.insertJobs(ctx, tx, fresh)
	if err != nil {
		return nil, err
	}
	args = args[:0]
	for i, id := range ids {
		args = append(args, id, numbers[i])
	}
	if _, err := tx.Exec(ctx, `WITH numbered (id, job_id) AS (VALUES `+sqldb.Values(len(ids), "(CAST(? AS BIGINT), CAST(? AS BIGINT))")+`)
		UPDATE expected SET job_id = numbered.job_id FROM numbered WHERE expected.id = numbered.id`, args...); err != nil {
		return nil, fmt.Errorf("number expected pushes: %w", err)
	}
	return fresh, nil
}
