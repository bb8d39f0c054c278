package bes

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errStopping sends Bazel to another replica, or back to this one once it is up.
var errStopping = status.Error(codes.Unavailable, "the BES relay is shutting down; send the stream again")

// Shutdown takes no new stream and lets the open ones finish until ctx ends, then
// ends them UNAVAILABLE: Bazel sends what is not acknowledged again, to whoever
// answers at the address within some 10 s. What best-effort backends have yet to
// get is delivered within the same time.
//
// Health is NOT_SERVING from the beginning on. A process calls Shutdown and the gRPC
// server's GracefulStop, which sends GOAWAY, side by side, and then Stop. Calling it
// again waits as well.
func (s *Service) Shutdown(ctx context.Context) error {
	s.health.Shutdown()
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stopping)
	}
	s.mu.Unlock()

	finished := make(chan struct{})
	s.background.Go(func() {
		s.streams.Wait()
		close(finished)
	})
	err := awaitDone(ctx, finished)
	if err != nil {
		s.mu.Lock()
		for in := range s.open {
			in.end(errStopping)
		}
		s.mu.Unlock()
		<-finished
	}
	// Nothing is attached now: close what is left of every invocation.
	s.mu.Lock()
	left := s.invocations
	s.invocations = make(map[key]*invocation)
	s.mu.Unlock()
	for _, i := range left {
		i.close(errStopping)
	}
	if undelivered := s.awaitCouriers(ctx); undelivered != nil && err == nil {
		err = undelivered
	}
	s.cancel()
	s.background.Wait()
	s.disconnect()
	if err != nil {
		return fmt.Errorf("shut down the BES relay: %w", err)
	}
	return nil
}

// awaitDone waits for done, but not longer than ctx.
func awaitDone(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
