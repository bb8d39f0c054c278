package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// beatInterval is how often a daemon says that it is alive and looks after those
// that are not.
const beatInterval = time.Second

// beatLimit bounds a beat and a look after the others. A connection that takes
// longer is given up, and its locks with it.
const beatLimit = 10 * time.Second

// beats beats until ctx ends.
func (s *Store) beats(ctx context.Context, session sqldb.Session) {
	beat := time.NewTicker(beatInterval)
	defer beat.Stop()
	defer s.keeping.Store(false)
	var forgotten map[runID]time.Time
	for {
		s.keeping.Store(s.beat(ctx, session))
		forgotten = s.lookForForgotten(ctx, forgotten)
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
	}
}

// keep says which streams this daemon has, and does what only the keeper does while this
// daemon is the keeper, until ctx ends. It does not hold up the beats.
func (s *Store) keep(ctx context.Context) {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	var pruned time.Time
	for {
		if err := s.tellStreams(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn().Err(err).Msg("this daemon cannot say which streams it has; others may take them for broken off")
		}
		if s.keeping.Load() {
			if now := s.now(); now.Sub(pruned) >= pruneInterval {
				pruned = now
				if err := s.prune(ctx); err != nil && ctx.Err() == nil {
					s.logger.Warn().Err(err).Msg("cannot remove what is too old")
				}
			}
			if err := s.breakOff(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn().Err(err).Msg("cannot look for streams that broke off")
			}
			if err := s.sweepReleases(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn().Err(err).Msg("cannot look for releases that are due")
			}
			if _, err := s.Seal(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn().Err(err).Msg("cannot seal new rows of the ledger")
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Store) lookForForgotten(ctx context.Context, seen map[runID]time.Time) map[runID]time.Time {
	limited, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	seen, err := s.giveBackForgotten(limited, seen)
	if err != nil && ctx.Err() == nil {
		s.logger.Warn().Err(err).Msg("cannot look for jobs that nobody works on")
	}
	return seen
}

// beat says that this daemon is alive and gives back the jobs of those that are
// not. It returns whether this daemon is the keeper.
func (s *Store) beat(ctx context.Context, session sqldb.Session) (keeper bool) {
	limited, cancel := context.WithTimeout(ctx, beatLimit)
	defer cancel()
	keeper, err := session.Beat(limited)
	if err == nil {
		s.clock.Store(int64(session.Clock()))
		err = s.reap(limited, session)
	}
	if err != nil && ctx.Err() == nil {
		s.logger.Warn().Err(err).Msg("cannot tell other daemons that this one is alive, or cannot look after dead ones; others may take its jobs")
	}
	return keeper
}

func (s *Store) reap(ctx context.Context, session sqldb.Session) error {
	reaped, err := session.Reap(ctx)
	if reaped.Jobs > 0 {
		s.logger.Info().Int64("jobs", reaped.Jobs).Msg("interrupted jobs are done again")
	}
	return errors.Join(err, s.dropBlobs(ctx, reaped.Dead))
}

// daemonName names this process among those that ever shared the database.
func daemonName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "daemon"
	}
	return fmt.Sprintf("%.80s-%d-%s", host, os.Getpid(), rand.Text()[:10])
}
