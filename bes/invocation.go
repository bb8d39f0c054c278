package bes

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// key is what an invocation's state is kept under.
type key struct {
	owner, build, invocation string
	component                int32
}

// invocation is what is known of one invocation's messages, across all the incoming
// streams that bring them.
type invocation struct {
	key key

	mu sync.Mutex
	// attached is the incoming stream that is open now, nil when there is none.
	attached *incoming
	// begun says whether any message has come. Before, the numbers below mean nothing.
	begun bool
	// received is the highest sequence number taken in.
	received int64
	// observed is the highest sequence number that the observation was handed. The
	// attached stream's reader raises it, without mu.
	observed atomic.Int64
	// waits are what must be durable before its event is acknowledged, in order.
	waits []wait
	// acknowledged is the highest sequence number whose acknowledgement was sent to
	// Bazel, over whatever stream.
	acknowledged int64
	// last is the sequence number of component_stream_finished, 0 until it came.
	last int64
	// required holds, for each required backend, the highest sequence number that
	// it acknowledged.
	required []int64
	// verdict is how the observation wants the stream to end.
	verdict error
	// observation is nil before the first message, after a wait failed, and at the
	// end.
	observation Observation
	// idleSince is when the last incoming stream ended.
	idleSince time.Time

	// couriers carry the messages to the best-effort backends. They are made with the
	// first message, and only the attached stream's reader uses them.
	couriers []*courier
}

// wait is one observation's promise to be kept before an acknowledgement.
type wait struct {
	sequence int64
	until    func(context.Context) error
}

// durable is the highest sequence number up to which everything that must be durable
// is. Called with mu held.
func (i *invocation) durable() int64 {
	if len(i.waits) > 0 {
		return i.waits[0].sequence - 1
	}
	return i.observed.Load()
}

// observe notes that the observation was handed an event and what has to be waited for
// before the event is acknowledged, and says whether there is anything.
func (i *invocation) observe(sequence int64, until func(context.Context) error) bool {
	if until == nil {
		i.observed.Store(sequence)
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.observed.Store(sequence)
	i.waits = append(i.waits, wait{sequence, until})
	return true
}

// due is the highest sequence number that may be acknowledged. Called with mu held.
func (i *invocation) due() int64 {
	due := i.durable()
	for _, acknowledged := range i.required {
		due = min(due, acknowledged)
	}
	return due
}

// begin sets the numbers for a stream that begins, or goes on behind a gap, with
// the given sequence number. Called with mu held.
func (i *invocation) begin(first int64) {
	i.begun = true
	before := first - 1
	i.received, i.acknowledged = before, max(i.acknowledged, before)
	i.observed.Store(before)
	i.waits = nil
	for n := range i.required {
		i.required[n] = before
	}
}

// forget drops an observation whose wait failed. A new one will be handed every message
// that is not acknowledged. Called with mu held.
func (i *invocation) forget() Observation {
	observation := i.observation
	i.observation = nil
	i.waits = nil
	i.observed.Store(i.acknowledged)
	return observation
}

// complete says whether everything came and is acknowledged. Called with mu held.
func (i *invocation) complete() bool { return i.last != 0 && i.acknowledged >= i.last }

var (
	errLeft = errors.New("the client left before the end of its stream")
	errGap  = errors.New("messages are missing: the stream went on elsewhere in the meantime")
)

// close ends what is left of an invocation that is not attached.
func (i *invocation) close(err error) {
	i.mu.Lock()
	observation := i.observation
	i.observation = nil
	if i.complete() {
		err = nil
	}
	couriers := i.couriers
	i.mu.Unlock()
	if observation != nil {
		observation.End(err)
	}
	for _, c := range couriers {
		c.close()
	}
}
