package web

import (
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/operator"
)

// readBody decodes a request's JSON body into v. Where it cannot it answers, and
// returns false.
func readBody(w http.ResponseWriter, r *http.Request, v any) bool {
	// A form of another site's page can send any type but this one.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, "The body must be JSON", "send the header Content-Type: application/json")
		return false
	}
	err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, operator.MaxBody), v, json.RejectUnknownMembers(true))
	switch tooLarge, is := errors.AsType[*http.MaxBytesError](err); {
	case is:
		problem(w, http.StatusRequestEntityTooLarge, "The body is too large", fmt.Sprintf("it must be at most %d bytes", tooLarge.Limit))
	case err != nil:
		problem(w, http.StatusBadRequest, "Invalid body", err.Error())
	}
	return err == nil
}
