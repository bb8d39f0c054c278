package registry

import (
	"context"
	"errors"
	"net/http"
)

// patientAsks is how often a registry is asked whether it has what was sent, where
// only a proxy before it lost patience: it may be at it still.
const patientAsks = 4

// leavesOpen tells whether a request that failed so may have been carried out: its
// answer was lost, or somebody between gave up waiting for it.
func (e *Error) leavesOpen() bool {
	if e == nil || !e.Passing() || e.Throttled() || e.Status == http.StatusTooEarly {
		return false
	}
	return !errors.Is(e.err, errForeignAnswer)
}

// timedOut tells whether a proxy gave up waiting for the registry behind it. 524 is
// Cloudflare's.
func (e *Error) timedOut() bool { return e.Status == http.StatusGatewayTimeout || e.Status == 524 }

// ask asks whether something is there after all: once, or a few times where it may
// still come.
func (h *host) ask(ctx context.Context, patient bool, there func(ctx context.Context) (bool, error)) bool {
	for n := 1; ; n++ {
		// That the question fails says nothing: what it is about is done again.
		if found, err := there(ctx); err == nil && found {
			return true
		}
		if !patient || n >= patientAsks || h.pause(ctx, n+1, 0) != nil {
			return false
		}
	}
}

// patience is for the first time that a proxy gave up waiting.
type patience struct{ spent bool }

func (p *patience) with(failed *Error) bool {
	if p.spent || !failed.timedOut() {
		return false
	}
	p.spent = true
	return true
}
