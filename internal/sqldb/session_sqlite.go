package sqldb

import (
	"context"
	"fmt"
)

// sqliteSession is the session of a daemon that has its database for itself.
type sqliteSession struct {
	db     DB
	reaped bool
}

// Beat implements [Session].
func (*sqliteSession) Beat(context.Context) (bool, error) { return true, nil }

// Reap implements [Session]: it gives back all running jobs, the first time. They were the last
// process's, and this one has begun none.
func (s *sqliteSession) Reap(ctx context.Context) (jobs int64, err error) {
	if s.reaped {
		return 0, nil
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx Conn) error {
		jobs, err = tx.Exec(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'`)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("give back interrupted jobs: %w", err)
	}
	s.reaped = true
	return jobs, nil
}

// Close implements [Session].
func (*sqliteSession) Close() {}
