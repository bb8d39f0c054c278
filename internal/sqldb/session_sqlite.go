package sqldb

import (
	"context"
	"fmt"
	"time"
)

// sqliteSession is the session of a daemon that has its database for itself.
type sqliteSession struct {
	db     DB
	reaped bool
}

// Beat implements [Session].
func (*sqliteSession) Beat(context.Context) (bool, error) { return true, nil }

// Clock implements [Session]: the file has no clock but this machine's.
func (*sqliteSession) Clock() time.Duration { return 0 }

// Reap implements [Session]: it gives back all running jobs, the first time. They were the last
// process's, and this one has begun none.
func (s *sqliteSession) Reap(ctx context.Context) (reaped Reaped, err error) {
	if s.reaped {
		return Reaped{}, nil
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx Conn) error {
		reaped.Jobs, err = tx.Exec(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'`)
		return err
	})
	if err != nil {
		return Reaped{}, fmt.Errorf("give back interrupted jobs: %w", err)
	}
	s.reaped = true
	return reaped, nil
}

// Close implements [Session].
func (*sqliteSession) Close() {}
