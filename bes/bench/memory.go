package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// idleMemory is what one open stream that has sent a message costs, in bytes.
func idleMemory(ctx context.Context, t *target, n int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	before, err := t.process.memory()
	if err != nil {
		return 0, err
	}
	for range n {
		s, closing, err := openStream(ctx, t.address)
		if err != nil {
			return 0, err
		}
		defer closing()
		if err := s.post(1, false); err != nil {
			return 0, err
		}
		var m frame
		if err := s.RecvMsg(&m); err != nil {
			return 0, fmt.Errorf("await acknowledgement: %w", err)
		}
		m.free()
	}
	after, err := t.process.memory()
	return (after - before) / float64(n), err
}

// longStream sends one long stream, and returns by how much the process grew from its
// first tenth to its end, in bytes.
func longStream(ctx context.Context, t *target, n int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	s, closing, err := openStream(ctx, t.address)
	if err != nil {
		return 0, err
	}
	defer closing()
	received := make(chan error, 1)
	go func() { received <- s.receive() }()
	first := math.NaN()
	for sequence := 1; sequence <= n; sequence++ {
		if err := s.take(1, received); err != nil {
			return 0, err
		}
		if err := s.post(int64(sequence), sequence == n); err != nil {
			return 0, err
		}
		if sequence == n/10 || sequence == n-1 {
			// What is under way is not what grows: who has all the room knows that
			// nothing is.
			if err := s.take(cap(s.room), received); err != nil {
				return 0, err
			}
			for range cap(s.room) {
				<-s.room
			}
			now, err := t.process.memory()
			if err != nil {
				return 0, err
			}
			if math.IsNaN(first) {
				first = now
				continue
			}
			first = now - first
		}
	}
	if err := s.CloseSend(); err != nil {
		return 0, fmt.Errorf("end stream: %w", err)
	}
	return first, <-received
}

// take takes room for events under way, unless the stream ends before there is any.
func (s *stream) take(n int, ended <-chan error) error {
	for range n {
		select {
		case s.room <- struct{}{}:
		case err := <-ended:
			return errors.Join(errors.New("the stream ended before all was sent"), err)
		}
	}
	return nil
}
