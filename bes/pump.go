package bes

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pump sends the acknowledgements that are due: one for each message, in order, none
// twice. Whoever may have made one due calls it; one caller at a time sends.
func (a *attachment) pump() {
	a.invocation.mu.Lock()
	a.pumpLocked()
}

// pumpLocked is pump, called with invocation.mu held; it returns without.
func (a *attachment) pumpLocked() {
	i := a.invocation
	a.startWaiting()
	if a.sending {
		i.mu.Unlock()
		return // the sender looks again before it leaves
	}
	a.sending = true
	for {
		due := min(i.due(), a.received)
		if due <= a.acknowledged {
			break
		}
		from := a.acknowledged + 1
		i.mu.Unlock()
		for n := from; n <= due; n++ {
			if err := a.stream.SendMsg(a.acknowledgements.next(n)); err != nil {
				a.end(err)
				return // still sending: nothing more is to be sent
			}
		}
		i.mu.Lock()
		a.acknowledged = due
		i.acknowledged = max(i.acknowledged, due)
		a.sample.acknowledged(due, a.events)
	}
	a.sending = false
	var over Observation
	if i.complete() {
		over, i.observation = i.observation, nil
	}
	delivered := a.halfClosed && a.acknowledged == a.received
	i.mu.Unlock()
	if over != nil {
		over.End(nil)
	}
	if delivered {
		a.deliver.Do(func() { close(a.delivered) })
	}
}

// startWaiting starts a goroutine for what must be durable, where there is any and
// none runs. Called with invocation.mu held.
func (a *attachment) startWaiting() {
	if a.waiting || len(a.invocation.waits) == 0 || a.ctx.Err() != nil {
		return
	}
	a.waiting = true
	a.workers.Go(a.wait)
}

// wait waits for what must be durable, in order, until nothing is left to wait for.
func (a *attachment) wait() {
	i := a.invocation
	for {
		i.mu.Lock()
		if len(i.waits) == 0 || a.ctx.Err() != nil {
			a.waiting = false
			i.mu.Unlock()
			return
		}
		next := i.waits[0]
		i.mu.Unlock()

		err := next.until(a.ctx)
		var verdict *Verdict
		if err != nil && !errors.As(err, &verdict) {
			a.waitFailed(err)
			return
		}
		i.mu.Lock()
		i.waits = i.waits[1:]
		if verdict != nil {
			i.verdict = verdict.Err
		}
		i.mu.Unlock()
		a.pump()
	}
}

// waitFailed ends the stream, so that Bazel sends again what is not acknowledged.
func (a *attachment) waitFailed(err error) {
	if a.ctx.Err() != nil {
		return // the next connection asks again
	}
	a.invocation.mu.Lock()
	a.broken = err
	a.invocation.mu.Unlock()
	if _, ok := status.FromError(err); !ok {
		code := codes.Unavailable
		if errors.Is(err, context.DeadlineExceeded) {
			code = codes.DeadlineExceeded
		}
		err = status.Error(code, err.Error())
	}
	a.end(err)
}
