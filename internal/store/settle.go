package store

import (
	"context"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/sqldb"
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
	var entries []ledger.Entry
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Conn) error {
		entries = entries[:0]
		if err := s.checkRuns(ctx, tx, batch); err != nil {
			return err
		}
		var states []*riverdriver.JobSetStateIfRunningParams
		for _, b := range batch {
			if b.lost {
				continue
			}
			states = append(states, b.state)
			if b.entry != nil {
				entries = append(entries, *b.entry)
			}
		}
		if len(states) == 0 {
			return nil
		}
		if err := s.record(ctx, tx, entries); err != nil {
			return err
		}
		if err := s.releaseTags(ctx, tx, batch); err != nil {
			return err
		}
		return s.db.SetJobStates(ctx, tx, states, s.now())
	})
	if err != nil {
		return err
	}
	s.announce(entries)
	return nil
}

// announce wakes who waits for rows that have been committed.
func (s *Store) announce(entries []ledger.Entry) {
	for _, e := range entries {
		s.changes.tell(e.InvocationID)
	}
	if len(entries) > 0 {
		s.outbox.Wake()
	}
}

// checkRuns marks the settlements whose run is not the job's current one. What it
// lets pass stays so until the transaction ends.
func (s *Store) checkRuns(ctx context.Context, tx sqldb.Conn, batch []*settlement) error {
	current := make(map[int64]int, len(batch)) // 0: not running
	var args []any
	for _, b := range batch {
		if _, known := current[b.job]; !known {
			current[b.job] = 0
			args = append(args, b.job)
		}
	}
	// In one order everywhere, so that two daemons do not wait for one another.
	err := tx.Query(ctx, `SELECT id, attempt FROM river_job WHERE id IN (`+sqldb.Values(len(args), "?")+`)
		AND state = '`+string(rivertype.JobStateRunning)+`' ORDER BY id`+s.db.Dialect().ForUpdate, args,
		func(scan sqldb.Scan) error {
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
	// River would count the run back; ours only go up, since checkRuns goes by them.
	if at.Sub(now) < schedulerInterval {
		return riverdriver.JobSetStateSnoozedAvailable(job, at, run, nil)
	}
	return riverdriver.JobSetStateSnoozed(job, at, run, nil)
}

// schedulerInterval is how often River makes jobs available whose time has come.
const schedulerInterval = 5 * time.Second
