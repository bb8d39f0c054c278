package bes

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// acknowledge sends the acknowledgements that are due: one for each message, in order,
// none twice. Whoever may have made one due calls it. One caller at a time sends.
func (in *incoming) acknowledge() {
	in.invocation.mu.Lock()
	in.acknowledgeLocked()
}

// acknowledgeLocked is acknowledge, called with invocation.mu held; it returns without.
func (in *incoming) acknowledgeLocked() {
	i := in.invocation
	in.startWaiting()
	if in.sending {
		i.mu.Unlock()
		return // the sender looks again before it leaves
	}
	in.sending = true
	for {
		due := min(i.due(), in.received)
		if due <= in.acknowledged {
			break
		}
		from := in.acknowledged + 1
		i.mu.Unlock()
		for n := from; n <= due; n++ {
			if err := in.stream.SendMsg(in.responses.next(n)); err != nil {
				in.end(err)
				return // still sending: nothing more is to be sent
			}
		}
		i.mu.Lock()
		in.acknowledged = due
		i.acknowledged = max(i.acknowledged, due)
		in.sample.acknowledged(due, in.events)
	}
	in.sending = false
	var over Observation
	if i.complete() {
		over, i.observation = i.observation, nil
	}
	delivered := in.halfClosed && in.acknowledged == in.received
	i.mu.Unlock()
	if over != nil {
		over.End(nil)
	}
	if delivered {
		in.deliver.Do(func() { close(in.delivered) })
	}
}

// startWaiting starts a goroutine that waits for what must be durable. It starts none
// where one runs, or where there is nothing to wait for. Called with invocation.mu held.
func (in *incoming) startWaiting() {
	if in.waiting || len(in.invocation.waits) == 0 || in.ctx.Err() != nil {
		return
	}
	in.waiting = true
	in.workers.Go(in.wait)
}

// wait waits for what must be durable, in order, until nothing is left to wait for.
func (in *incoming) wait() {
	i := in.invocation
	for {
		i.mu.Lock()
		if len(i.waits) == 0 || in.ctx.Err() != nil {
			in.waiting = false
			i.mu.Unlock()
			return
		}
		next := i.waits[0]
		i.mu.Unlock()

		err := next.until(in.ctx)
		verdict, isVerdict := errors.AsType[*Verdict](err)
		if err != nil && !isVerdict {
			in.waitFailed(err)
			return
		}
		i.mu.Lock()
		i.waits = i.waits[1:]
		if isVerdict {
			i.verdict = verdict.Err
		}
		i.mu.Unlock()
		in.acknowledge()
	}
}

// waitFailed ends the stream. Bazel then sends again what is not acknowledged.
func (in *incoming) waitFailed(err error) {
	if in.ctx.Err() != nil {
		return // the next incoming stream asks again
	}
	in.invocation.mu.Lock()
	in.broken = err
	in.invocation.mu.Unlock()
	if _, ok := status.FromError(err); !ok {
		code := codes.Unavailable
		if errors.Is(err, context.DeadlineExceeded) {
			code = codes.DeadlineExceeded
		}
		err = status.Error(code, err.Error())
	}
	in.end(err)
}
