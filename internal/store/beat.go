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

// keep beats until ctx ends and, while this daemon is the keeper, does what only
// the keeper does.
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
				s.logger.Warn().Err(err).Msg("cannot remove what is too old")
			}
		}
		if err := s.tellStreams(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn().Err(err).Msg("this daemon cannot say which streams it has; others may take them for broken off")
		}
		if keeper {
			if err := s.breakOff(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn().Err(err).Msg("cannot look for streams that broke off")
			}
			if _, err := s.Seal(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn().Err(err).Msg("cannot seal new rows of the ledger")
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
// not. It returns whether this daemon is the keeper.
func (s *Store) beat(ctx context.Context, session sqldb.Session) (keeper bool) {
	limited, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	keeper, err := session.Beat(limited)
	if err == nil {
		err = s.reap(limited, session)
	}
	if err != nil && ctx.Err() == nil {
		s.logger.Warn().Err(err).Msg("cannot tell other daemons that this one is alive, or cannot look after dead ones; others may take its jobs")
	}
	return keeper
}

func (s *Store) reap(ctx context.Context, session sqldb.Session) error {
	jobs, err := session.Reap(ctx)
	if jobs > 0 {
		s.logger.Info().Int64("jobs", jobs).Msg("interrupted jobs are done again")
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
