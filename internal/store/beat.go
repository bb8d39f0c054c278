package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// beatInterval is how often a daemon says that it is alive and looks after those
// that are not. A dead daemon's jobs are given back within about twice of it.
const beatInterval = time.Second

// beatLimit bounds a beat and a look after the others. A connection that takes
// longer is given up, and its locks with it.
const beatLimit = 10 * time.Second

// keep does what has to be done beside the jobs, until ctx ends.
func (s *Store) keep(ctx context.Context, session sqldb.Session) {
	beat := time.NewTicker(beatInterval)
	defer beat.Stop()
	defer s.keeping.Store(false)
	var pruned time.Time
	for {
		keeper := s.beat(ctx, session)
		s.keeping.Store(keeper)
		if now := s.now(); keeper && now.Sub(pruned) >= pruneInterval {
			pruned = now
			if err := s.prune(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn().Err(err).Msg("what is too old cannot be removed")
			}
		}
		if err := s.tellStreams(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn().Err(err).Msg("this daemon cannot say which streams it has; others may take them for broken off")
		}
		if keeper {
			if err := s.breakOff(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn().Err(err).Msg("streams that broke off cannot be looked for")
			}
			if _, err := s.Seal(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn().Err(err).Msg("the ledger's log cannot be continued")
			}
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}

// beat says that this daemon is alive and gives back the jobs of those that are
// not. It returns whether this daemon keeps the ledger.
func (s *Store) beat(ctx context.Context, session sqldb.Session) (keeper bool) {
	limited, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	keeper, err := session.Beat(limited)
	if err == nil {
		err = s.reap(limited, session)
	}
	if err != nil && ctx.Err() == nil {
		s.logger.Warn().Err(err).Msg("this daemon cannot say that it is alive, or look after those that are not; others may take its jobs")
	}
	return keeper
}

func (s *Store) reap(ctx context.Context, session sqldb.Session) error {
	jobs, err := session.Reap(ctx)
	if jobs > 0 {
		s.logger.Info().Int64("jobs", jobs).Msg("jobs that were interrupted are done again")
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
