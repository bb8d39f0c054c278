package web

import (
	"errors"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/drayage/drayage/internal/ledger"
	"github.com/drayage/drayage/internal/operator"
)

// badQuery answers a request whose parameters are not right.
func badQuery(w http.ResponseWriter, err error) {
	problem(w, http.StatusBadRequest, "Invalid query", err.Error())
}

// failed answers a question to the ledger that failed: whose fault it is shows
// in the error.
func (h *handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	if several, ok := errors.AsType[*ledger.AmbiguousError](err); ok {
		badQuery(w, several)
		return
	}
	h.broken(w, r, err)
}

// broken answers a request that failed for reasons that are not the client's,
// nor for it to know.
func (h *handler) broken(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to hear it
	}
	h.Logger.Error().Err(err).Str("path", r.URL.Path).Msg("request failed")
	problem(w, http.StatusInternalServerError, "The daemon could not answer", "the daemon's log says why")
}

func problem(w http.ResponseWriter, status int, title, detail string) {
	writeJSON(w, status, "application/problem+json", operator.Problem{Title: title, Status: status, Detail: detail})
}

// found answers with what was asked for.
func found(w http.ResponseWriter, v any) { writeJSON(w, http.StatusOK, "application/json", v) }

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	// Text that a build gave need not be UTF-8.
	data, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) //nolint:gosec // it is JSON, and says so
}

// maxListed bounds a list that comes without pages.
const maxListed = 20_000

// bounded is the part of the list that is answered with, and how many are left
// off.
func bounded[T any](list []T) ([]T, int) {
	shown := list[:min(len(list), maxListed)]
	return shown, len(list) - len(shown)
}
