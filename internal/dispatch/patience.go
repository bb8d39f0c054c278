package dispatch

import (
	"context"
	"time"

	"github.com/drayage/drayage/internal/clock"
)

const (
	// storePatience is for how long a stream that begins waits for a store that cannot be
	// read: a database that is started again takes seconds, and Bazel gives a build's events
	// up after five tries within about nine. It is shorter than the time for which a
	// connection of Bazel waits for the end of the one before it.
	storePatience = 8 * time.Second

	// storePause is the time between two looks.
	storePause = 250 * time.Millisecond
)

// patiently asks the store again until it answers, or storePatience is over. The error is
// the store's last.
func patiently(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil || clock.Wait(ctx, storePause) != nil {
			return err
		}
	}
}
