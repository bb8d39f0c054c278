package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
)

// endedPush is a row of the table expected whose last job has ended.
type endedPush struct {
	expectedRow
	action  Action
	outcome ledger.Outcome
	entry   int64
}

// endedAs are the pushes of an invocation whose last jobs ended so.
func (s *Store) endedAs(ctx context.Context, tx sqldb.Conn, invocation string, outcomes []ledger.Outcome) ([]endedPush, error) {
	var rows []endedPush
	for _, outcome := range outcomes { // each alone: what is staged has an index
		err := tx.Query(ctx, `SELECT id, job_id, action, entry_id FROM expected
			WHERE invocation_id = ? AND outcome = '`+string(outcome)+`' AND entry_id IS NOT NULL ORDER BY id`+s.db.Dialect().ForUpdate,
			[]any{invocation}, func(scan sqldb.Scan) error {
				e := endedPush{outcome: outcome}
				err := scan(&e.id, &e.job, &e.action, &e.entry)
				rows = append(rows, e)
				return err
			})
		if err != nil {
			return nil, fmt.Errorf("read pushes that ended as %s: %w", outcome, err)
		}
	}
	return rows, nil
}

// entriesOf are the rows of the ledger that pushes ended in, by their numbers.
func (s *Store) entriesOf(ctx context.Context, tx sqldb.Conn, rows []endedPush) (map[int64]ledger.Entry, error) {
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.entry
	}
	return s.readEntries(ctx, tx, ids)
}

// beginSize bounds the jobs that one statement begins.
const beginSize = 500

// begin makes each push a job that does something to its row.
func (s *Store) begin(ctx context.Context, tx sqldb.Conn, action Action, rows []endedPush) error {
	for piece := range slices.Chunk(rows, beginSize) {
		jobs, err := s.followUps(ctx, tx, action, piece)
		if err != nil {
			return err
		}
		ids := make([]int64, len(piece))
		for i, row := range piece {
			ids[i] = row.id
		}
		if err := s.repeat(ctx, tx, ids, jobs); err != nil {
			return err
		}
	}
	return nil
}

// repeat gives expected pushes new jobs, whose ends are awaited.
func (s *Store) repeat(ctx context.Context, tx sqldb.Conn, ids []int64, jobs []Job) error {
	if len(jobs) == 0 {
		return nil
	}
	numbers, err := s.insertJobs(ctx, tx, jobs)
	if err != nil {
		return err
	}
	args := make([]any, 0, 3*len(ids))
	for i, id := range ids {
		args = append(args, id, numbers[i], string(jobs[i].Action))
	}
	err = sqldb.ExecMany(ctx, tx, sqldb.Insert{
		SQL: `WITH numbered (id, job_id, action) AS (VALUES `, Group: "(CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT))", Args: args,
		Tail: `) UPDATE expected SET job_id = numbered.job_id, entry_id = NULL, outcome = '', action = numbered.action
			FROM numbered WHERE expected.id = numbered.id`,
	})
	if err != nil {
		return fmt.Errorf("give pushes new jobs: %w", err)
	}
	return nil
}

// followUps are the jobs that do something to the rows of the ledger that pushes ended in.
// The jobs before them may be gone; then what the rows tell is all there is.
func (s *Store) followUps(ctx context.Context, tx sqldb.Conn, action Action, rows []endedPush) ([]Job, error) {
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.job
	}
	old, err := s.db.Jobs(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	kept := make(map[int64]Job, len(old))
	for _, row := range old {
		if kept[row.ID], err = decodeJob(row); err != nil {
			return nil, err
		}
	}
	gone := slices.DeleteFunc(slices.Clone(rows), func(row endedPush) bool {
		_, there := kept[row.job]
		return there
	})
	entries, err := s.entriesOf(ctx, tx, gone)
	if err != nil {
		return nil, err
	}
	jobs := make([]Job, len(rows))
	for i, row := range rows {
		job, there := kept[row.job]
		if !there {
			job = jobOf(entries[row.entry])
		}
		job.Action, job.Entry = action, row.entry
		jobs[i] = job
	}
	return jobs, nil
}

// jobOf is what a row tells of its job.
func jobOf(e ledger.Entry) Job {
	function, hash, _ := strings.Cut(e.SpecDigest, ":")
	return Job{
		Invocation: e.InvocationID, Build: e.BuildID, Target: e.Target, Configuration: e.Configuration, Aspect: e.Aspect,
		Client: e.Client, Priority: PriorityNormal, Spec: SpecRef{Function: function, Hash: hash},
	}
}
