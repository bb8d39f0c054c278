package store

import (
	"context"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

const (
	// DefaultLease is many times what a daemon needs to renew its leases.
	DefaultLease = 30 * time.Second

	// renewals is how often a lease is renewed before it would end.
	renewals = 4

	// tagLimit bounds for how long the lease of a run's tags is renewed.
	tagLimit = 10 * time.Minute

	// renewSize bounds the blobs that one statement renews.
	renewSize = 5000

	// releaseAgainAfter is how long a release that failed waits for its next try.
	releaseAgainAfter = 500 * time.Millisecond
)

// leaseTime is the time that the ends of leases are measured by: the database's, as far
// as the last beat told, since the daemons' own may differ.
func (s *Store) leaseTime() time.Time {
	return s.now().Add(time.Duration(s.clock.Load())).Truncate(time.Microsecond)
}

// keepLeases renews the leases of what this daemon is at, and tries again to release
// what it could not, until ctx ends.
func (s *Store) keepLeases(ctx context.Context) {
	tick := time.NewTicker(min(releaseAgainAfter, s.options.Lease/renewals))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s.releaseAgain(ctx)
		if err := s.renew(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn().Err(err).Msg("cannot renew leases of blobs and tags; others may take them")
		}
	}
}

// renew renews the leases that are due, all in one transaction.
func (s *Store) renew(ctx context.Context) error {
	age := s.options.Lease / renewals
	blobs, runs := s.blobs.due(age), s.tags.due(age, tagLimit)
	if len(blobs) == 0 && len(runs) == 0 {
		return nil
	}
	began := time.Now()
	var kept map[runID]bool
	// What is known of a tag's lease here must be so in the database, whatever dies.
	write := s.db.WriteLoosely
	if len(runs) > 0 {
		write = s.db.Write
	}
	limited, cancel := context.WithTimeout(ctx, releaseLimit)
	defer cancel()
	err := write(limited, func(ctx context.Context, tx sqldb.Conn) (err error) {
		if kept, err = s.renewTags(ctx, tx, runs); err != nil {
			return err
		}
		return s.renewBlobs(ctx, tx, blobs)
	})
	if err != nil {
		return err
	}
	s.blobs.renew(blobs, began)
	for id := range kept {
		s.tags.renew(id, began, s.options.Lease)
	}
	return nil
}
