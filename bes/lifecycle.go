package bes

import (
	"bytes"
	"context"
	"math"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/drayage/drayage/internal/clock"
)

// lifecycle takes one lifecycle event: the required backends' answer is Bazel's,
// best-effort backends get it in their own time.
func (s *Service) lifecycle(ctx context.Context, m *frame) error {
	if s.looped(ctx) {
		return errLoop
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.streams.Add(1)
	}
	s.mu.Unlock()
	if closed {
		return errStopping
	}
	defer s.streams.Done()

	msg, err := readMessage(m.bytes(), lifecycleRequestEvent)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	id, err := msg.id()
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	k := lifecycleKey{id.InvocationID, id.Component, msg.sequence}
	s.metrics.lifecycle.Inc()
	for _, b := range s.bestEffort {
		s.post(ctx, b, id.BuildID, k, m.bytes())
	}

	ctx, cancel := context.WithTimeout(ctx, s.config.LifecycleTimeout)
	defer cancel()
	errs := make([]error, len(s.required))
	var calls sync.WaitGroup
	for n, b := range s.required {
		calls.Go(func() { errs[n] = b.lifecycle(ctx, m, b.passOn(ctx)) })
	}
	calls.Wait()
	for n, err := range errs {
		if err == nil {
			continue
		}
		if status.Code(err) == codes.DeadlineExceeded && expired(ctx) {
			return status.Errorf(codes.Unavailable, "BES backend %s did not answer a lifecycle event within %v",
				s.required[n].Name, s.config.LifecycleTimeout)
		}
		return err
	}
	return nil
}

// expired tells whether the time of a call is up. gRPC goes by the clock, and may end the
// call a moment before its context ends.
func expired(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// lifecycle makes one lifecycle call.
func (b *backend) lifecycle(ctx context.Context, m *frame, headers metadata.MD) error {
	c, release, err := b.connect()
	if err != nil {
		return err
	}
	defer release()
	if err := c.ready(ctx); err != nil {
		return err
	}
	var answer frame
	if err := c.Invoke(metadata.NewOutgoingContext(ctx, headers), lifecycleMethod, m, &answer); err != nil {
		b.answered(err)
		return err
	}
	answer.free()
	return nil
}

// post hands a lifecycle event to a best-effort backend, behind what came before it
// in the same build.
func (s *Service) post(ctx context.Context, b *backend, build string, k lifecycleKey, event []byte) {
	done := make(chan struct{})
	before, ok := s.order(b, build).follow(k, done)
	if !ok {
		return
	}
	m := frame{mem.BufferSlice{mem.SliceBuffer(bytes.Clone(event))}}
	headers := b.passOn(ctx)
	s.background.Go(func() {
		defer close(done)
		for _, earlier := range before {
			if awaitDone(s.ctx, earlier) != nil {
				return
			}
		}
		if err := s.retryLifecycle(b, &m, headers); err != nil {
			s.metrics.lifecycleLost(b.Name)
			s.log.Warn().Err(err).Str("backend", b.Name).Str("build", build).Str("invocation", k.invocation).
				Msg("backend did not take a lifecycle event")
		}
	})
}

// retryLifecycle calls until the backend answers, as often as Bazel would.
func (s *Service) retryLifecycle(b *backend, m *frame, headers metadata.MD) error {
	for failures := 0; ; failures++ {
		ctx, cancel := context.WithTimeout(s.ctx, s.config.LifecycleTimeout)
		err := b.lifecycle(ctx, m, headers)
		cancel()
		code := status.Code(err)
		if code == codes.OK || code == codes.InvalidArgument || code == codes.FailedPrecondition || failures >= b.Retries {
			return err
		}
		if clock.Wait(s.ctx, time.Duration(float64(b.RetryDelay)*math.Pow(retryGrowth, float64(failures)))) != nil {
			return err
		}
	}
}
