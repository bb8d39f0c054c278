package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
)

// invocations answers with one page of the invocations, the latest begun first.
func (h *handler) invocations(w http.ResponseWriter, r *http.Request) {
	wanted, err := operator.DecodePage(r.URL.Query(), "before")
	if err != nil {
		badQuery(w, err)
		return
	}
	var before *store.Invocation
	if wanted.Before != "" {
		last, known, err := h.Source.Invocation(r.Context(), wanted.Before)
		if err != nil {
			h.broken(w, r, err)
			return
		}
		if !known {
			badQuery(w, fmt.Errorf("before: the daemon does not know invocation %q, or no longer keeps it", wanted.Before))
			return
		}
		before = &last
	}
	list, err := h.Source.Invocations(r.Context(), before, wanted.Limit)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	page := operator.InvocationPage{Invocations: []operator.InvocationSummary{}}
	for _, known := range list {
		page.Invocations = append(page.Invocations, summary(known))
	}
	if len(list) == wanted.Limit {
		page.Next = list[wanted.Limit-1].ID
	}
	found(w, page)
}

// invocation answers with the state of one invocation.
func (h *handler) invocation(w http.ResponseWriter, r *http.Request) {
	invocation, known, err := h.lookUp(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		h.broken(w, r, err)
	case !known:
		noInvocation(w, r.PathValue("id"))
	default:
		found(w, invocation)
	}
}

func noInvocation(w http.ResponseWriter, id string) {
	problem(w, http.StatusNotFound, "No such invocation", fmt.Sprintf("the daemon has received no stream of invocation %q", id))
}

func (h *handler) lookUp(ctx context.Context, id string) (operator.Invocation, bool, error) {
	known, there, err := h.Source.Invocation(ctx, id)
	if err != nil || !there {
		return operator.Invocation{}, false, err
	}
	invocation := operator.Invocation{InvocationSummary: summary(known)}
	// The release first: when it opens, its jobs are there, and are pending.
	switch of, there, err := h.Source.Release(ctx, id); {
	case err != nil:
		return operator.Invocation{}, false, err
	case there:
		invocation.Release = release(of)
	}
	// Pending before outcomes: a job that ends in between is counted twice rather
	// than not at all, so that nobody who waits for zero goes away too early.
	if invocation.Pending, err = h.Source.Pending(ctx, id); err != nil {
		return operator.Invocation{}, false, err
	}
	if invocation.Missing, err = h.Source.Missing(ctx, id); err != nil {
		return operator.Invocation{}, false, err
	}
	invocation.Outcomes, err = h.Source.Outcomes(ctx, id)
	return invocation, true, err
}

func summary(known store.Invocation) operator.InvocationSummary {
	return operator.InvocationSummary{
		ID:           known.ID,
		BuildID:      known.Build,
		Command:      known.Command,
		BazelVersion: known.BazelVersion,
		Started:      known.Started,
		Finished:     known.Finished,
		BrokenOff:    known.BrokenOff,
		Unconfigured: known.Unconfigured,
		ExitCode:     known.ExitCode,
	}
}
