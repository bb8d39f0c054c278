package web

import (
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/drift"
	"github.com/drayage/drayage/internal/operator"
)

// verification answers with the last comparison of the ledger with the registries.
func (h *handler) verification(w http.ResponseWriter, r *http.Request) {
	last := operator.Verification{Differences: []drift.Difference{}}
	body, err := h.Source.Verification(r.Context())
	if err == nil && body != nil {
		err = json.Unmarshal(body, &last)
	}
	if err != nil {
		h.broken(w, r, err)
		return
	}
	found(w, last)
}
