// Package clock waits on the real clock, for code whose tests wait on another.
package clock

import (
	"context"
	"time"
)

// Wait waits for d. It returns early, with the context's cause, when that ends.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
