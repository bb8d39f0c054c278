// Package pacer decides when a request to a registry may go: how many at once, how many
// a second, and whose turn it is.
package pacer

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"
)

// RequestSize keeps small requests from waiting behind large ones.
type RequestSize int

const (
	// Small is for requests that take a moment: lookups, manifests, small blobs.
	Small RequestSize = iota
	// Large is for uploads and downloads of layers.
	Large
	requestSizes
)

const (
	// slowdown is what is left of concurrency and rate after a 429 or 503.
	slowdown = 0.7
	// slowdownEvery is the shortest time between two slowdowns: the requests under
	// way when the first came say nothing new.
	slowdownEvery = time.Second
	// minRate is the lowest rate, in requests a second, that is fallen back to.
	minRate = 0.5
	// recovery is by how much of itself the rate grows with each second.
	recovery = 0.05
)

// Options are a [Pacer]'s. All but Rate must be set.
type Options struct {
	// Small and Large bound the requests of that size under way at once.
	Small, Large int
	// Rate is the number of requests a second that the registry is known to bear, or 0
	// where that is not known.
	Rate float64
	// MaxWait bounds the wait for the time at which a request may go.
	MaxWait time.Duration
	// Now and Wait are the clock.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
}

// TooLongError says that a request may not go before more than [Options.MaxWait] has passed.
type TooLongError struct{ Wait time.Duration }

func (e *TooLongError) Error() string {
	return fmt.Sprintf("no request may go for %s", e.Wait)
}

// Pacer decides when a request to one registry may go. Within the bounds of its options it
// finds out by itself what the registry bears: fewer requests at once, and fewer a second,
// after each 429 or 503, and slowly more after answers that are not. It is safe for
// concurrent use.
type Pacer struct {
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

// New makes a pacer.
func New(opts Options) *Pacer {
	p := &Pacer{now: opts.Now, wait: opts.Wait, maxWait: opts.MaxWait, rate: opts.Rate, grown: opts.Now()}
	p.sizes[Small] = slots{most: opts.Small, limit: float64(opts.Small)}
	p.sizes[Large] = slots{most: opts.Large, limit: float64(opts.Large)}
	return p
}

// Acquire waits for a slot, and for the time at which the next request may go. Who has
// acquired has to release. A wait that would be too long is a [*TooLongError], at once.
// Invocations take turns.
func (p *Pacer) Acquire(ctx context.Context, size RequestSize, invocation string) error {
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
		return &TooLongError{Wait: delay}
	}
	if delay > 0 {
		if err := p.wait(ctx, delay); err != nil {
			p.leave(size)
			return err
		}
	}
	return nil
}

// Release gives a slot back, and is told how the request went: its status, or 0 where
// there was no answer, and for how long it asked to wait.
func (p *Pacer) Release(size RequestSize, status int, after time.Duration) {
	p.answered(size, status, after)
	p.leave(size)
}

// leave gives a slot back, to the next who wait.
func (p *Pacer) leave(size RequestSize) {
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
func (p *Pacer) delay() time.Duration {
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
func (p *Pacer) answered(size RequestSize, status int, after time.Duration) {
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
