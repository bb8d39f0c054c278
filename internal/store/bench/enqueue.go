package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/drayage/drayage/internal/store"
)

// burst is the number of images of a large monorepo's build.
const burst = 1300

// streams is how many builds report at the same time.
const streams = 64

// enqueueGoal is what one durable enqueue may take beside bursts.
const enqueueGoal = 50 * time.Millisecond

func job(invocation string, n int) store.Job {
	return store.Job{
		Invocation: invocation, Build: "b-" + invocation, Target: fmt.Sprintf("//services/s%d:push", n), Configuration: "k8-fastbuild",
		Spec: store.SpecRef{Function: "sha256", Hash: fmt.Sprintf("%064d", n), Size: 4096}, Client: "ci",
	}
}

// stream enqueues n jobs one by one, and says how long each took.
func stream(ctx context.Context, s *store.Store, invocation string, n int) ([]time.Duration, error) {
	times := make([]time.Duration, n)
	for i := range times {
		began := time.Now()
		if err := s.Enqueue(ctx, []store.Job{job(invocation, i)}); err != nil {
			return nil, err
		}
		times[i] = time.Since(began)
	}
	return times, nil
}

func enqueues(ctx context.Context, report *report, s *store.Store, size sizes, name string) error {
	alone, err := stream(ctx, s, "alone", size.enqueues)
	if err != nil {
		return err
	}
	report.linef("durable enqueue, one stream", "%s", spread(alone))

	many, took, err := together(ctx, s, max(size.enqueues/5, 1))
	if err != nil {
		return err
	}
	report.linef(fmt.Sprintf("durable enqueue, %d streams", streams), "%s, %.0f/s", spread(many), float64(len(many))/took.Seconds())

	beside, bursts, err := besideBursts(ctx, s, size.enqueues)
	if err != nil {
		return err
	}
	report.linef(fmt.Sprintf("burst of %d jobs", burst), "%s, %d bursts", spread(bursts), len(bursts))
	report.linef("durable enqueue, one stream beside bursts", "%s", spread(beside))
	report.below(name+"-enqueue-beside-bursts-p99", quantile(beside, 0.99), enqueueGoal)
	return nil
}

func together(ctx context.Context, s *store.Store, each int) ([]time.Duration, time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var group sync.WaitGroup
	began := time.Now()
	for i := range streams {
		group.Go(func() {
			times, err := stream(ctx, s, fmt.Sprintf("together%d", i), each)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, times...)
			failed = errors.Join(failed, err)
		})
	}
	group.Wait()
	return all, time.Since(began), failed
}

// besideBursts times one stream while others enqueue burst after burst.
func besideBursts(ctx context.Context, s *store.Store, n int) (single, bursts []time.Duration, err error) {
	stop := make(chan struct{})
	var failed error
	var group sync.WaitGroup
	group.Go(func() {
		for i := 0; ; i++ {
			list := make([]store.Job, burst)
			for k := range list {
				list[k] = job(fmt.Sprintf("burst%d", i), k)
			}
			began := time.Now()
			if failed = s.Enqueue(ctx, list); failed != nil {
				return
			}
			bursts = append(bursts, time.Since(began))
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	single, err = stream(ctx, s, "beside", n)
	close(stop)
	group.Wait()
	return single, bursts, errors.Join(err, failed)
}
