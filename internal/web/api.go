package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

// ledger answers a ledger query with one page.
func (h *handler) ledger(w http.ResponseWriter, r *http.Request) {
	query, err := operator.DecodeQuery(r.URL.Query())
	if err == nil {
		err = query.Check()
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "The query is not right", err.Error())
		return
	}
	page, err := h.page(r.Context(), query)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, "application/json", page)
}

// page reads one page, and one entry more to know whether there is another.
func (h *handler) page(ctx context.Context, query ledger.Query) (operator.LedgerPage, error) {
	limit := query.Limit
	if limit == 0 {
		limit = ledger.DefaultLimit
	}
	query.Limit = limit
	entries, err := h.Source.Entries(ctx, query)
	if err != nil {
		return operator.LedgerPage{}, err
	}
	page := operator.LedgerPage{Entries: entries}
	if entries == nil {
		page.Entries = []ledger.Entry{}
	}
	// A full page may be the last; the one after it is then empty.
	if len(entries) == limit {
		page.Next = entries[limit-1].ID
	}
	return page, nil
}

// invocation answers with the state of one invocation.
func (h *handler) invocation(w http.ResponseWriter, r *http.Request) {
	invocation, known, err := h.lookUp(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		h.broken(w, r, err)
	case !known:
		problem(w, http.StatusNotFound, "No such invocation", fmt.Sprintf("no stream of %q has come here", r.PathValue("id")))
	default:
		writeJSON(w, http.StatusOK, "application/json", invocation)
	}
}

func (h *handler) lookUp(ctx context.Context, id string) (operator.Invocation, bool, error) {
	known, there, err := h.Source.Invocation(ctx, id)
	if err != nil || !there {
		return operator.Invocation{}, false, err
	}
	invocation := operator.Invocation{
		ID:           known.ID,
		BuildID:      known.Build,
		Command:      known.Command,
		BazelVersion: known.BazelVersion,
		Started:      known.Started,
		Finished:     known.Finished,
		ExitCode:     known.ExitCode,
	}
	// Pending before outcomes: a job that ends in between is counted twice rather
	// than not at all, so that nobody who waits for zero goes away too early.
	if invocation.Pending, err = h.Source.Pending(ctx, id); err != nil {
		return operator.Invocation{}, false, err
	}
	invocation.Outcomes, err = h.Source.Outcomes(ctx, id)
	return invocation, true, err
}

func (h *handler) broken(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to hear it
	}
	h.Logger.Error().Err(err).Str("path", r.URL.Path).Msg("request failed")
	problem(w, http.StatusInternalServerError, "The daemon could not answer", "its log says why")
}

func problem(w http.ResponseWriter, status int, title, detail string) {
	writeJSON(w, status, "application/problem+json", operator.Problem{Title: title, Status: status, Detail: detail})
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}
