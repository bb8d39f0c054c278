package web

import (
	"fmt"
	"net/http"

	"github.com/drayage/drayage/internal/operator"
	"github.com/drayage/drayage/internal/store"
)

// deadLetters answers with one page of the events that webhooks did not take.
func (h *handler) deadLetters(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	wanted, err := operator.DecodePage(values, "webhook", "after")
	if err != nil {
		badQuery(w, err)
		return
	}
	list, err := h.Source.DeadLetters(r.Context(), values.Get("webhook"), wanted.After, wanted.Limit)
	if err != nil {
		h.broken(w, r, err)
		return
	}
	page := operator.DeadLetterPage{DeadLetters: []operator.DeadLetter{}}
	for _, l := range list {
		page.DeadLetters = append(page.DeadLetters, operator.DeadLetter{
			Event: l.ID, Webhook: l.Sink, Kind: string(l.Kind), Entry: l.Entry, Subject: l.Subject, Attempts: l.Attempts, Last: l.Last, Error: l.Error,
		})
	}
	// A full page may be the last; the one after it is then empty.
	if len(list) == wanted.Limit {
		page.Next = list[len(list)-1].ID
	}
	found(w, page)
}

// redeliver has the selected events delivered again.
func (h *handler) redeliver(w http.ResponseWriter, r *http.Request) {
	var redelivery operator.Redelivery
	if !readBody(w, r, &redelivery) {
		return
	}
	switch {
	case redelivery.Empty():
		problem(w, http.StatusBadRequest, "No event is selected", "select events by their numbers or by a webhook's name, or select all")
		return
	case len(redelivery.Events) > operator.MaxEvents:
		problem(w, http.StatusBadRequest, "Invalid body", fmt.Sprintf("events: %d were given, but at most %d are allowed", len(redelivery.Events), operator.MaxEvents))
		return
	}
	n, err := h.Source.Redeliver(r.Context(), store.LetterSelection{IDs: redelivery.Events, Sink: redelivery.Webhook, All: redelivery.All})
	if err != nil {
		h.broken(w, r, err)
		return
	}
	h.Logger.Info().Str("client", h.client(r)).Ints64("events", redelivery.Events).Str("webhook", redelivery.Webhook).
		Bool("all", redelivery.All).Int("redelivered", n).Msg("an operator had events delivered again")
	found(w, operator.Redelivered{Events: n})
}
