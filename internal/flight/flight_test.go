package flight_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/drayage/internal/flight"
)

func TestACallIsMadeOnceForAllWhoAskAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group := flight.Group[int32]{Limit: time.Minute}
		var calls atomic.Int32
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				got, err := group.Do(t.Context(), "k", func(context.Context) (int32, error) {
					time.Sleep(time.Second)
					return calls.Add(1), nil
				})
				if got != 1 || err != nil {
					t.Errorf("got %d, %v", got, err)
				}
			})
		}
		all.Wait()
	})
}

func TestACallThatHangsKeepsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group := flight.Group[string]{Limit: time.Minute}
		release := make(chan struct{})
		defer close(release)
		go func() {
			_, _ = group.Do(t.Context(), "stuck", func(context.Context) (string, error) { <-release; return "", nil })
		}()
		synctest.Wait()
		began := time.Now()
		if got, err := group.Do(t.Context(), "other", func(context.Context) (string, error) { return "well", nil }); got != "well" || err != nil || time.Since(began) > 0 {
			t.Errorf("got %q, %v after %s", got, err, time.Since(began))
		}
	})
}

func TestACallThatHeedsNothingIsGivenUpAndNotMadeTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group := flight.Group[string]{Limit: time.Minute}
		release := make(chan struct{})
		var calls atomic.Int32
		stuck := func(context.Context) (string, error) { calls.Add(1); <-release; return "late", nil }
		for range 3 {
			_, err := group.Do(t.Context(), "k", stuck)
			if limit, ok := errors.AsType[*flight.LimitError](err); !ok || limit.Limit != time.Minute {
				t.Errorf("got error %v", err)
			}
		}
		close(release)
		synctest.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d calls were made while the first one hung", calls.Load())
		}
	})
}

func TestWhoLeavesDoesNotTakeTheCallAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group := flight.Group[string]{Limit: time.Minute}
		slow := func(ctx context.Context) (string, error) {
			select {
			case <-ctx.Done():
				return "", context.Cause(ctx)
			case <-time.After(10 * time.Second):
				return "well", nil
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			if _, err := group.Do(ctx, "k", slow); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who left got %v", err)
			}
		}()
		synctest.Wait()
		if got, err := group.Do(t.Context(), "k", slow); got != "well" || err != nil {
			t.Errorf("who stayed got %q, %v", got, err)
		}
	})
}

func TestTheLastOneWhoLeavesEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group := flight.Group[string]{Limit: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var ended atomic.Bool
		began := time.Now()
		_, err := group.Do(ctx, "k", func(ctx context.Context) (string, error) {
			<-ctx.Done()
			ended.Store(true)
			return "", context.Cause(ctx)
		})
		if !errors.Is(err, context.DeadlineExceeded) || !ended.Load() || time.Since(began) != time.Second {
			t.Errorf("got error %v after %s, and the call has ended: %t", err, time.Since(began), ended.Load())
		}
	})
}

func TestResultsAndFailuresAreKeptForTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, failure := range []error{nil, errors.New("no")} {
			group := flight.Group[int32]{Limit: time.Minute, Keep: 30 * time.Second, KeepFailure: 10 * time.Second}
			var calls atomic.Int32
			ask := func() {
				_, _ = group.Do(t.Context(), "k", func(context.Context) (int32, error) { return calls.Add(1), failure })
			}
			ask()
			time.Sleep(9 * time.Second)
			ask()
			if calls.Load() != 1 {
				t.Errorf("after 9s, of %v: %d calls", failure, calls.Load())
			}
			time.Sleep(2 * time.Second)
			ask()
			if want := map[bool]int32{false: 1, true: 2}[failure != nil]; calls.Load() != want {
				t.Errorf("after 11s, of %v: %d calls, want %d", failure, calls.Load(), want)
			}
		}
	})
}

func TestWhoComesToACallThatOthersGaveUpGetsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		group := flight.Group[string]{Limit: time.Hour, KeepFailure: time.Minute}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			// It takes half a second to notice that it is not wanted.
			_, _ = group.Do(ctx, "k", func(ctx context.Context) (string, error) {
				<-ctx.Done()
				time.Sleep(500 * time.Millisecond)
				return "", context.Cause(ctx)
			})
		}()
		time.Sleep(1200 * time.Millisecond)
		if got, err := group.Do(t.Context(), "k", func(context.Context) (string, error) { return "well", nil }); got != "well" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}
