package registry

import (
	"context"
	"math"
	"net/http"
	"sync"
	"time"
)

// pacer decides when a request to a registry may go.
type pacer struct {
	now     func() time.Time
	wait    func(ctx context.Context, d time.Duration) error
	maxWait time.Duration

	mu     sync.Mutex
	sizes  [requestSizes]slots
	slowed time.Time // the last slowdown
	paused time.Time // no request goes before

	// rate is in requests a second; 0 is without bound. It is what next, the time
	// of the next request, is found by.
	rate  float64
	grown time.Time // when rate was last raised
	next  time.Time
	// second and count measure the present rate.
	second time.Time
	count  int
	seen   float64
}

// slots are those of requests of one size.
type slots struct {
	// most is the bound that is configured, limit the one that the registry bears.
	most   int
	limit  float64
	active int
	queue  queue
}

func newPacer(opts Options, rate float64) *pacer {
	p := &pacer{now: opts.Now, wait: opts.Wait, maxWait: opts.MaxWait, rate: rate, grown: opts.Now()}
	p.sizes[small] = slots{most: opts.Pace.Small, limit: float64(opts.Pace.Small)}
	p.sizes[large] = slots{most: opts.Pace.Large, limit: float64(opts.Pace.Large)}
	return p
}

// acquire waits for a slot, and for the time at which the next request may go. Who has
// acquired has to release. A wait that is too long is a *Error, as if the registry had
// been asked.
func (p *pacer) acquire(ctx context.Context, size requestSize, invocation string) error {
	p.mu.Lock()
	state := &p.sizes[size]
	if float64(state.active) < math.Floor(state.limit) && len(state.queue.turns) == 0 {
		state.active++
		p.mu.Unlock()
	} else {
		turn := state.queue.push(invocation)
		p.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			p.mu.Lock()
			left := state.queue.leave(invocation, turn)
			p.mu.Unlock()
			if !left {
				p.leave(size)
			}
			return context.Cause(ctx)
		}
	}
	delay := p.delay()
	if delay > p.maxWait {
		p.leave(size)
		return &Error{Op: "wait for the registry", Status: http.StatusTooManyRequests, RetryAfter: delay}
	}
	if delay > 0 {
		if err := p.wait(ctx, delay); err != nil {
			p.leave(size)
			return err
		}
	}
	return nil
}

// release gives a slot back, and is told how the request went: its status, or 0 where
// there was no answer, and for how long it asked to wait.
func (p *pacer) release(size requestSize, status int, after time.Duration) {
	p.answered(size, status, after)
	p.leave(size)
}

// leave gives a slot back, to the next who wait.
func (p *pacer) leave(size requestSize) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := &p.sizes[size]
	state.active--
	for float64(state.active) < math.Floor(state.limit) {
		turn := state.queue.pop()
		if turn == nil {
			return
		}
		state.active++
		close(turn)
	}
}

// delay is how long the next request has to wait, which it takes as done.
func (p *pacer) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	start := now
	if p.paused.After(start) {
		start = p.paused
	}
	if start.Sub(now) > p.maxWait {
		return start.Sub(now)
	}
	if p.rate > 0 {
		p.rate *= 1 + recovery*max(0, now.Sub(p.grown).Seconds())
		p.grown = now
		if p.next.After(start) {
			start = p.next
		}
		p.next = start.Add(time.Duration(float64(time.Second) / p.rate))
	}
	if p.count++; now.Sub(p.second) >= time.Second {
		p.seen = float64(p.count) / max(1, now.Sub(p.second).Seconds())
		p.second, p.count = now, 0
	}
	return start.Sub(now)
}

// answered learns from an answer: additive increase, multiplicative decrease.
func (p *pacer) answered(size requestSize, status int, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := &p.sizes[size]
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		if status > 0 && status < 500 {
			state.limit = min(float64(state.most), state.limit+1/state.limit)
		}
		return
	}
	now := p.now()
	if until := now.Add(after); after > 0 && until.After(p.paused) {
		p.paused = until
	}
	if now.Sub(p.slowed) < slowdownEvery {
		return
	}
	p.slowed = now
	state.limit = max(1, state.limit*slowdown)
	if status == http.StatusTooManyRequests {
		present := max(p.seen, float64(p.count))
		if p.rate > 0 {
			present = min(present, p.rate)
		}
		p.rate, p.grown = max(minRate, present*slowdown), now
	}
}
