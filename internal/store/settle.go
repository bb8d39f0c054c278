package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/ledger"
)

// settlement is the end of one run of a job: the state that it leaves the job
// in, and, if that is the end of the job, the row.
type settlement struct {
	job   int64
	run   int
	state *riverdriver.JobSetStateIfRunningParams
	entry *ledger.Entry // nil: the job is not at its end

	// lost is set when the job had been given to another worker, or ended, in the
	// meantime: this run decides nothing any more.
	lost bool
}

// settle commits the ends of runs. Rows are written in the transaction that
// completes their jobs.
func (s *Store) settle(ctx context.Context, batch []*settlement) error {
	var ended []ledger.Entry
	err := s.db.write(ctx, func(ctx context.Context, tx conn) error {
		ended = ended[:0]
		if err := s.fence(ctx, tx, batch); err != nil {
			return err
		}
		var states []*riverdriver.JobSetStateIfRunningParams
		for _, b := range batch {
			if b.lost {
				continue
			}
			states = append(states, b.state)
			if b.entry != nil {
				ended = append(ended, *b.entry)
			}
		}
		if len(states) == 0 {
			return nil
		}
		if err := s.record(ctx, tx, ended); err != nil {
			return err
		}
		if err := s.releaseTags(ctx, tx, batch); err != nil {
			return err
		}
		return s.db.settle(ctx, tx, states, s.now())
	})
	if err != nil {
		return err
	}
	s.announce(ended)
	return nil
}

// announce wakes who waits for rows that have been committed.
func (s *Store) announce(entries []ledger.Entry) {
	for _, e := range entries {
		s.changes.tell(e.InvocationID)
	}
	if len(entries) > 0 {
		s.wakeDelivery()
	}
}

// fence marks the settlements whose run is not the job's current one. What it
// lets pass stays so until the transaction ends.
func (s *Store) fence(ctx context.Context, tx conn, batch []*settlement) error {
	current := make(map[int64]int, len(batch)) // 0: not running
	var args []any
	for _, b := range batch {
		if _, known := current[b.job]; !known {
			current[b.job] = 0
			args = append(args, b.job)
		}
	}
	// In one order everywhere, so that two daemons do not wait for one another.
	err := tx.query(ctx, `SELECT id, attempt FROM river_job WHERE id IN (`+values(len(args), "?")+`)
		AND state = '`+string(rivertype.JobStateRunning)+`' ORDER BY id`+s.db.dialect().forUpdate, args,
		func(scan func(...any) error) error {
			var job int64
			var run int
			if err := scan(&job, &run); err != nil {
				return err
			}
			current[job] = run
			return nil
		})
	for _, b := range batch {
		b.lost = current[b.job] != b.run
	}
	return err
}

// record writes rows and what finds them.
func (s *Store) record(ctx context.Context, tx conn, entries []ledger.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	args := make([]any, 0, 9*len(entries))
	byJob := make(map[int64]*ledger.Entry, len(entries))
	for i := range entries {
		e := &entries[i]
		body, err := e.Encode()
		if err != nil {
			return err
		}
		byJob[e.Job] = e
		args = append(args, e.Job, micros(e.Time), string(e.Outcome), e.Registry, e.Repository, e.Target, e.InvocationID, e.Commit, body)
	}
	// A job has one row. Where there is one already the job ends all the same.
	err := tx.query(ctx, `INSERT INTO ledger_entry (job_id, time, outcome, registry, repository, target, invocation_id, commit_id, body)
		VALUES `+values(len(entries), "(?,?,?,?,?,?,?,?,?)")+` ON CONFLICT (job_id) DO NOTHING RETURNING id, job_id`, args,
		func(scan func(...any) error) error {
			var id, job int64
			if err := scan(&id, &job); err != nil {
				return err
			}
			byJob[job].ID = id
			return nil
		})
	if err != nil {
		return fmt.Errorf("insert ledger rows: %w", err)
	}

	var digests, tags, unsealed, outcomes []any
	var ids []int64
	for _, e := range entries {
		e := byJob[e.Job]
		if e.ID == 0 {
			continue
		}
		at := micros(e.Time)
		for _, digest := range digestsOf(*e) {
			digests = append(digests, digest, at, e.ID)
		}
		for _, tag := range tagsOf(*e) {
			tags = append(tags, tag, at, e.ID, e.Repository, e.Registry)
		}
		ids = append(ids, e.ID)
		unsealed = append(unsealed, e.ID)
		outcomes = append(outcomes, e.Job, string(e.Outcome), e.ID)
	}
	for _, insert := range []struct {
		sql   string
		group string
		args  []any
		tail  string
	}{
		{`INSERT INTO ledger_digest (digest, time, entry_id) VALUES `, "(?,?,?)", digests, ``},
		{`INSERT INTO ledger_tag (tag, time, entry_id, repository, registry) VALUES `, "(?,?,?,?,?)", tags, ``},
		{`INSERT INTO ledger_unsealed (entry_id) VALUES `, "(?)", unsealed, ``},
		{`WITH ended (job_id, outcome, entry_id) AS (VALUES `, "(CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT))", outcomes,
			`) UPDATE expected SET outcome = ended.outcome, entry_id = ended.entry_id FROM ended WHERE expected.job_id = ended.job_id`},
	} {
		if err := execMany(ctx, tx, insert.sql, insert.group, insert.args, insert.tail); err != nil {
			return fmt.Errorf("insert what finds ledger rows: %w", err)
		}
	}
	return s.post(ctx, tx, ids)
}

// execMany runs a statement with a list of values, in pieces that both databases
// take (PostgreSQL has at most 65535 parameters, SQLite 32766).
func execMany(ctx context.Context, tx conn, sql, group string, args []any, tail string) error {
	width := strings.Count(group, "?")
	for piece := range slices.Chunk(args, width*2000) {
		if _, err := tx.exec(ctx, sql+values(len(piece)/width, group)+tail, piece...); err != nil {
			return err
		}
	}
	return nil
}

// digestsOf are the digests that find a row: the root's and those of all
// manifests below it.
func digestsOf(e ledger.Entry) []string {
	var digests []string
	if e.Digest != "" {
		digests = append(digests, e.Digest)
	}
	for _, m := range e.Manifests {
		if m.Digest != "" && !slices.Contains(digests, m.Digest) {
			digests = append(digests, m.Digest)
		}
	}
	return digests
}

// tagsOf are the tags that find a row: those that it wrote.
func tagsOf(e ledger.Entry) []string {
	var tags []string
	for _, tag := range e.Tags {
		if !slices.Contains(tags, tag.Name) {
			tags = append(tags, tag.Name)
		}
	}
	return tags
}

// retryState is the state of a job that failed and is tried again at the time
// given.
func retryState(job int64, now, at time.Time, errData []byte) *riverdriver.JobSetStateIfRunningParams {
	// River's scheduler looks every few seconds; what is due before that must not
	// wait for it. The fetching statement looks at the time too.
	if at.Sub(now) < schedulerInterval {
		return riverdriver.JobSetStateErrorAvailable(job, at, errData, nil)
	}
	return riverdriver.JobSetStateErrorRetryable(job, at, errData, nil)
}

// laterState is the state of a job that was not begun and comes again.
func laterState(job int64, run int, now, at time.Time) *riverdriver.JobSetStateIfRunningParams {
	// River would count the run back; ours only go up, since they are the fence.
	if at.Sub(now) < schedulerInterval {
		return riverdriver.JobSetStateSnoozedAvailable(job, at, run, nil)
	}
	return riverdriver.JobSetStateSnoozed(job, at, run, nil)
}

// schedulerInterval is how often River makes jobs available whose time has come.
const schedulerInterval = 5 * time.Second
