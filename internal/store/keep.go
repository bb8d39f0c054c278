package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"time"
)

// beatInterval is how often a daemon says that it is alive and looks after those
// that are not. A dead daemon's jobs are given back within about twice of it.
const beatInterval = time.Second

// keep does what has to be done beside the jobs, until ctx ends.
func (s *Store) keep(ctx context.Context, session session) {
	beat := time.NewTicker(beatInterval)
	defer beat.Stop()
	defer s.keeping.Store(false)
	var pruned time.Time
	for {
		keeper, err := session.beat(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("this daemon cannot say that it is alive; others may take its jobs")
		}
		if err == nil {
			if err := s.reap(ctx, session); err != nil && ctx.Err() == nil {
				s.log.Warn().Err(err).Msg("jobs of daemons that died cannot be given back")
			}
		}
		s.keeping.Store(keeper)
		if keeper {
			if now := s.now(); now.Sub(pruned) >= pruneInterval {
				pruned = now
				if err := s.Prune(ctx); err != nil && ctx.Err() == nil {
					s.log.Warn().Err(err).Msg("what is too old cannot be removed")
				}
			}
			if _, err := s.Seal(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn().Err(err).Msg("the ledger's log cannot be continued")
			}
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Store) reap(ctx context.Context, session session) error {
	jobs, err := session.reap(ctx)
	if jobs > 0 {
		s.log.Info().Int64("jobs", jobs).Msg("jobs that were interrupted are done again")
	}
	return err
}

// daemonName names this process among those that ever shared the database.
func daemonName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "daemon"
	}
	return fmt.Sprintf("%.80s-%d-%s", host, os.Getpid(), rand.Text()[:10])
}
