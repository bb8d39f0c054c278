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
	id    runID
	state *riverdriver.JobSetStateIfRunningParams
	entry *ledger.Entry // nil: the job is not at its end
	// waitsFor is the registry that the job waits for, or "".
	waitsFor string
	// job is the job, and kept the manifests that its worker wants to be kept.
	job  Job
	kept []keptManifest
	// unworked says that the row is not the worker's.
	unworked bool

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
		runs := make([]runID, len(batch))
		for i, b := range batch {
			runs[i] = b.id
		}
		current, err := s.checkRuns(ctx, tx, runs)
		if err != nil {
			return err
		}
		var states []*riverdriver.JobSetStateIfRunningParams
		for _, b := range batch {
			if b.lost = !current[b.id]; b.lost {
				continue
			}
			states = append(states, b.state)
			if b.entry != nil {
				if b.unworked {
					if err := s.inherit(ctx, tx, b.entry, b.job); err != nil {
						return err
					}
				}
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
		if err := s.noteWaits(ctx, tx, batch); err != nil {
			return err
		}
		if err := s.keepManifests(ctx, tx, batch); err != nil {
			return err
		}
		if err := s.db.SetJobStates(ctx, tx, states, s.now()); err != nil {
			return err
		}
		return s.decideOn(ctx, tx, entries)
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

// checkRuns tells which of the runs are the current ones of their jobs. They stay
// so until the transaction ends.
func (s *Store) checkRuns(ctx context.Context, tx sqldb.Conn, runs []runID) (current map[runID]bool, err error) {
	jobs := make(map[int64]bool, len(runs))
	var args []any
	for _, r := range runs {
		if !jobs[r.job] {
			jobs[r.job] = true
			args = append(args, r.job)
		}
	}
	current = make(map[runID]bool, len(runs))
	// In one order everywhere, so that two daemons do not wait for one another.
	err = tx.Query(ctx, `SELECT id, attempt FROM river_job WHERE id IN (`+sqldb.Values(len(args), "?")+`)
		AND state = '`+string(rivertype.JobStateRunning)+`' ORDER BY id`+s.db.Dialect().ForUpdate, args,
		func(scan sqldb.Scan) error {
			var r runID
			if err := scan(&r.job, &r.run); err != nil {
				return err
			}
			current[r] = true
			return nil
		})
	return current, err
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
func laterState(id runID, now, at time.Time) *riverdriver.JobSetStateIfRunningParams {
	// River would count the run back; ours only go up, since checkRuns goes by them.
	if at.Sub(now) < schedulerInterval {
		return riverdriver.JobSetStateSnoozedAvailable(id.job, at, id.run, nil)
	}
	return riverdriver.JobSetStateSnoozed(id.job, at, id.run, nil)
}

// schedulerInterval is how often River makes jobs available whose time has come.
const schedulerInterval = 5 * time.Second
