package store

import (
	"context"
	"fmt"
)

// soleSession is the session of a daemon that has its database for itself.
type soleSession struct {
	db     database
	reaped bool
}

func (*soleSession) beat(context.Context) (bool, error) { return true, nil }

// reap gives back all running jobs, the first time: they were the last
// process's, and this one has begun none.
func (s *soleSession) reap(ctx context.Context) (jobs int64, err error) {
	if s.reaped {
		return 0, nil
	}
	err = s.db.write(ctx, func(ctx context.Context, tx conn) error {
		jobs, err = tx.exec(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'`)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("give back interrupted jobs: %w", err)
	}
	s.reaped = true
	return jobs, nil
}

func (*soleSession) close() {}
