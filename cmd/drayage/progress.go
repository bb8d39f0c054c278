package main

import (
	"context"
	"sync"
	"time"

	"github.com/drayage/drayage/internal/clock"
)

// reportEvery is how often people who wait are told how far something is.
const reportEvery = 5 * time.Second

// report calls say now and then, until stop is called.
func report(ctx context.Context, say func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for clock.Wait(ctx, reportEvery) == nil {
			say()
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}
