package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/riverqueue/river"

	"github.com/drayage/drayage/internal/sqldb"
)

// fetchCooldown is the least time between two looks for jobs. The most jobs that
// can be begun in a second is the number of workers divided by it.
const fetchCooldown = 10 * time.Millisecond

// Run works on jobs, up to workers at a time, until ctx ends. It is also what makes
// this daemon one that may be the keeper. When ctx ends, no more jobs are begun;
// those under way get [Options.DrainTimeout], after which their contexts end and
// they are given back. Run returns when the
// last of them has returned.
//
// Jobs that a daemon left behind when it died are given back: at once where the
// database is this daemon's alone, else within seconds.
func (s *Store) Run(ctx context.Context, worker Worker, workers int) error {
	session, err := s.db.Session(ctx, s.name)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer session.Close()
	s.clock.Store(int64(session.Clock()))
	if err := s.reap(ctx, session); err != nil {
		return unlessStopped(ctx, err)
	}

	kinds := river.NewWorkers()
	river.AddWorker(kinds, &adapter{store: s, worker: worker})
	client, err := s.db.Runner(&river.Config{
		ID:                   s.name,
		Queues:               queues(workers),
		Workers:              kinds,
		FetchCooldown:        fetchCooldown,
		JobTimeout:           s.options.JobTimeout,
		RescueStuckJobsAfter: 2 * s.options.JobTimeout,
		// The keeper removes them, in smaller pieces.
		CompletedJobRetentionPeriod: -1,
		CancelledJobRetentionPeriod: -1,
		DiscardedJobRetentionPeriod: -1,
	})
	if err != nil {
		return fmt.Errorf("run jobs: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("run jobs: %w", err)
	}

	// The session outlives the drain: as long as jobs are under way they are ours.
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { s.beats(keeping, session) })
	keeper.Go(func() { s.keep(keeping) })
	keeper.Go(func() { s.keepLeases(keeping) })
	keeper.Go(func() { s.outbox.Deliver(keeping, s.keeping.Load) })
	<-ctx.Done()
	err = s.drain(client)
	stopKeeping()
	keeper.Wait()
	s.leave()
	return err
}

// leave ends the claims that are left when nothing is under way any more. What fails ends
// with its lease.
func (s *Store) leave() {
	s.releaseAgain(context.Background())
	if err := s.dropBlobs(context.Background(), []string{s.name}); err != nil {
		s.logger.Warn().Err(err).Msg("cannot release all blobs; others can have them within " + s.options.Lease.String())
	}
}

// unlessStopped is the error of a start, or nil where the start was called off:
// nothing had begun.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it is the consequence of the stop
	}
	return fmt.Errorf("run jobs: %w", err)
}

// drain waits for the jobs under way, first patiently, then less so.
func (s *Store) drain(client sqldb.Runner) error {
	patient, cancel := context.WithTimeout(context.Background(), s.options.DrainTimeout)
	defer cancel()
	err := client.Stop(patient)
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// The worker hears its context end; it cannot be made to listen.
	hard, cancel := context.WithTimeout(context.Background(), s.options.DrainTimeout)
	defer cancel()
	if err := client.StopAndCancel(hard); err != nil {
		return fmt.Errorf("stop jobs that are under way: %w", err)
	}
	return nil
}
