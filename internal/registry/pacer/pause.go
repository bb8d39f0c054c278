package pacer

import "time"

const (
	// tryAfter is when during a pause one request is tried for the first time. Each that
	// fails doubles the time to the next.
	tryAfter = time.Minute
	// relapse is how soon after a trial that went well another pause shows that it had
	// told nothing.
	relapse = 2 * time.Minute
	// maxTryAfter bounds the time between two trials.
	maxTryAfter = 30 * time.Minute
)

// Pause is a time in which no request goes, since the server asked for that.
type Pause struct {
	// Since and Until are when it began, and when it ends if nothing ends it before.
	Since, Until time.Time
	// Next is when one request goes ahead, to find out whether the server is back.
	Next time.Time
	// Answer is the one that asked for it.
	Answer Answer
}

// Pauses are a server's present pause, and what is remembered of the last one. Whoever
// uses it guards it.
type Pauses struct {
	Pause
	// trying says that a trial is under way, and every is the time to the next one.
	trying bool
	every  time.Duration
	// ended is when a trial last ended a pause.
	ended time.Time
}

// Note begins a pause, or makes it longer.
func (p *Pauses) Note(now time.Time, answer Answer) {
	until := now.Add(answer.After)
	if answer.After <= 0 || !until.After(p.Until) {
		return
	}
	if !p.Until.After(now) {
		p.Since = now
		if p.every == 0 || now.Sub(p.ended) > relapse {
			p.every = tryAfter
		} else {
			p.every = min(2*p.every, maxTryAfter)
		}
		p.Next = now.Add(p.every)
	}
	p.Until, p.Answer = until, answer
}

// Try tells whether a request may go as a trial.
func (p *Pauses) Try(now time.Time) bool {
	if p.trying || now.Before(p.Next) {
		return false
	}
	p.trying = true
	return true
}

// Tried takes note of how a trial went.
func (p *Pauses) Tried(now time.Time, good bool) {
	p.trying = false
	if good {
		p.Pause, p.ended = Pause{}, now
		return
	}
	p.every = min(2*p.every, maxTryAfter)
	p.Next = now.Add(p.every)
}

// Lift ends the pause. It tells whether there was one.
func (p *Pauses) Lift(now time.Time) bool {
	paused := p.Until.After(now)
	*p = Pauses{}
	return paused
}

// Due tells whether a request would go as a trial.
func (p *Pauses) Due(now time.Time) bool {
	return p.Until.After(now) && !p.trying && !now.Before(p.Next)
}

// Lift ends the pause, if there is one. It tells whether there was.
func (p *Pacer) Lift() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pauses.Lift(p.now())
}

// Block lets no request go, or lets requests go again.
func (p *Pacer) Block(blocked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blocked = blocked
}

// Status is what a pacer is doing.
type Status struct {
	// UnderWay and Waiting count requests.
	UnderWay, Waiting int
	// AtOnce is how many small, and how many large requests may be under way at once.
	AtOnce [2]int
	// Rate is in requests a second; 0 is without bound.
	Rate float64
	// Pause is zero if there is none.
	Pause Pause
	// TrialDue says that the next small request goes although there is a pause.
	TrialDue bool
}

// Status says what the pacer is doing.
func (p *Pacer) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	status := Status{Rate: p.rate}
	for size := range p.sizes {
		state := &p.sizes[size]
		status.UnderWay += state.active
		status.Waiting += state.queue.length()
		status.AtOnce[size] = int(state.limit)
	}
	if p.pauses.Until.After(now) {
		status.Pause, status.TrialDue = p.pauses.Pause, p.pauses.Due(now)
	}
	return status
}
