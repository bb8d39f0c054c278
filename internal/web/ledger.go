package web

import (
	"context"
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
		badQuery(w, err)
		return
	}
	page, err := h.page(r.Context(), query)
	if err != nil {
		h.failed(w, r, err)
		return
	}
	found(w, page)
}

// page reads one page of the ledger.
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
