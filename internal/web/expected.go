package web

import (
	"context"
	"net/http"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

// expected answers with what an invocation asked for, and what became of it.
func (h *handler) expected(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	invocation, known, err := h.Source.Invocation(r.Context(), id)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	list, err := h.Source.Expected(r.Context(), id)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	// A push can be known before what the stream says of its build.
	if !known && len(list) == 0 {
		noInvocation(w, id)
		return
	}
	set := operator.ExpectedSet{Over: invocation.Over(), Unconfigured: invocation.Unconfigured}
	set.Expected, set.Omitted = bounded(list)
	found(w, set)
}

// compare answers with how two invocations differ.
func (h *handler) compare(w http.ResponseWriter, r *http.Request) {
	ids, err := operator.RequireParameters(r.URL.Query(), "before", "after")
	if err != nil {
		badQuery(w, err)
		return
	}
	for _, id := range ids {
		known, err := h.pushedAnything(r.Context(), id)
		if err != nil {
			h.broken(w, r, err)
			return
		}
		if !known {
			// To compare with nothing would look as if all were new, or gone.
			noInvocation(w, id)
			return
		}
	}
	list, err := h.Source.Compare(r.Context(), ids[0], ids[1])
	if err != nil {
		h.broken(w, r, err)
		return
	}
	var comparison operator.Comparison
	comparison.Differences, comparison.Omitted = bounded(list)
	found(w, comparison)
}

// pushedAnything says whether an invocation is known, or was: the ledger keeps
// its rows for longer.
func (h *handler) pushedAnything(ctx context.Context, id string) (bool, error) {
	if _, known, err := h.Source.Invocation(ctx, id); err != nil || known {
		return known, err
	}
	rows, err := h.Source.Entries(ctx, ledger.Query{Invocation: id, Limit: 1})
	return len(rows) > 0, err
}
