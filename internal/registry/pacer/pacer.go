// Package pacer decides when a request to a registry may go: how many at once, how many
// a second, and whose turn it is.
package pacer

import (
	"context"
	"errors"
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
type TooLongError struct {
	Wait  time.Duration
	Pause Pause
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("no request may go for %s", e.Wait)
}

// ErrBlocked says that no request goes until [Pacer.Block] says otherwise.
var ErrBlocked = errors.New("no request may go: it is blocked")

// Pacer decides when a request to one registry may go. Within the bounds of its options it
// finds out by itself what the registry bears: fewer requests at once, and fewer a second,
// after each 429 or 503, and slowly more after answers that are not. It is safe for
// concurrent use.
type Pacer struct {
	now     func() time.Time
	wait    func(ctx context.Context, d time.Duration) error
	maxWait time.Duration

	mu      sync.Mutex
	sizes   [requestSizes]slots
	slowed  time.Time // the last slowdown
	pauses  Pauses
	blocked bool

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

// Slot is the right to have one request under way.
type Slot struct {
	pacer *Pacer
	size  RequestSize
	// trial says that the request goes during a pause, to find out whether that is needed.
	trial bool
}

// Answer says how a request went.
type Answer struct {
	// Status is the HTTP status, or 0 where there was no answer.
	Status int
	// After is for how long no request is to go, and Asked what the server asked for,
	// which may be longer.
	After, Asked time.Duration
	// Op and Repository say what was asked for, and where.
	Op, Repository string
}

// distress tells whether a server asks for fewer requests.
func (a Answer) distress() bool {
	return a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable
}

// good tells whether a server is at work.
func (a Answer) good() bool { return a.Status > 0 && a.Status < 500 && !a.distress() }

// Acquire waits for a slot, and for the time at which the next request may go. Who has
// acquired has to release. A wait that would be too long is a [*TooLongError], at once,
// except that now and then one small request goes during a long pause, to find out whether
// the server is back. Invocations take turns.
func (p *Pacer) Acquire(ctx context.Context, size RequestSize, invocation string) (Slot, error) {
	if err := p.queueUp(ctx, size, invocation); err != nil {
		return Slot{}, err
	}
	slot := Slot{pacer: p, size: size}
	delay, err := p.delay(&slot)
	if err == nil && delay > 0 {
		err = p.wait(ctx, delay)
	}
	if err != nil {
		p.leave(size)
		return Slot{}, err
	}
	return slot, nil
}

// queueUp waits for a slot.
func (p *Pacer) queueUp(ctx context.Context, size RequestSize, invocation string) error {
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
	return nil
}

// Release gives a slot back, and is told how the request went.
func (s Slot) Release(answer Answer) {
	s.pacer.answered(s, answer)
	s.pacer.leave(s.size)
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
func (p *Pacer) delay(slot *Slot) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.blocked {
		return 0, ErrBlocked
	}
	now := p.now()
	start := now
	if until := p.pauses.Until; until.After(start) {
		start = until
	}
	if wait := start.Sub(now); wait > p.maxWait {
		if slot.size == Large || !p.pauses.Try(now) {
			return 0, &TooLongError{Wait: wait, Pause: p.pauses.Pause}
		}
		slot.trial = true
		return 0, nil
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
	return start.Sub(now), nil
}

// answered learns from an answer: additive increase, multiplicative decrease.
func (p *Pacer) answered(slot Slot, answer Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := &p.sizes[slot.size]
	now := p.now()
	if slot.trial {
		p.pauses.Tried(now, answer.good())
	}
	if !answer.distress() {
		if answer.good() {
			state.limit = min(float64(state.most), state.limit+1/state.limit)
		}
		return
	}
	p.pauses.Note(now, answer)
	if now.Sub(p.slowed) < slowdownEvery {
		return
	}
	p.slowed = now
	state.limit = max(1, state.limit*slowdown)
	if answer.Status == http.StatusTooManyRequests {
		present := max(p.seen, float64(p.count))
		if p.rate > 0 {
			present = min(present, p.rate)
		}
		p.rate, p.grown = max(minRate, present*slowdown), now
	}
}
