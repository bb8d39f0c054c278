package casregistry

import (
	"errors"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/rs/zerolog"
)

// refusal is an answer that is an error (distribution spec, "Error Codes").
type refusal struct {
	status        int
	code, message string
	// details name what the error is about, one error each: digests.
	details []string
}

func (r *refusal) Error() string { return r.message }

func notAllowed() error {
	return &refusal{status: http.StatusMethodNotAllowed, code: "UNSUPPORTED", message: "the registry does not support this method"}
}

func blobUnknown(digest string) error {
	return &refusal{
		status: http.StatusNotFound, code: "BLOB_UNKNOWN",
		message: "the repository does not have the blob, or the cache no longer has it; push it, or build the image again", details: []string{digest},
	}
}

func uploadUnknown() error {
	return &refusal{status: http.StatusNotFound, code: "BLOB_UPLOAD_UNKNOWN", message: "the upload does not exist, or no longer; begin a new one"}
}

func manifestInvalid(message string) error {
	return &refusal{status: http.StatusBadRequest, code: "MANIFEST_INVALID", message: message}
}

// denied is for a client without the right. One that may yet say who it is, is asked.
func denied(client Client, reason string) error {
	if client.Asked {
		return unauthorized(reason + "; log in with a token as the password, and any user name")
	}
	return &refusal{status: http.StatusForbidden, code: "DENIED", message: reason}
}

func unauthorized(reason string) error {
	return &refusal{status: http.StatusUnauthorized, code: "UNAUTHORIZED", message: reason}
}

// answer writes an error. An error that is not a refusal is a fault of the registry: the
// client may try again, and the log has the cause.
func answer(w http.ResponseWriter, req *http.Request, err error, logger zerolog.Logger) {
	if req.Context().Err() != nil {
		return // nobody reads it
	}
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		logger.Error().Err(err).Str("method", req.Method).Str("path", req.URL.Path).Msg("registry request failed")
		refused = &refusal{status: http.StatusServiceUnavailable, code: "UNAVAILABLE", message: "the registry or its cache failed; the daemon's log says why; try again later"}
	}
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  any    `json:"detail,omitempty"`
	}
	var body struct {
		Errors []entry `json:"errors"`
	}
	for _, digest := range refused.details {
		body.Errors = append(body.Errors, entry{refused.code, refused.message, map[string]string{"digest": digest}})
	}
	if len(body.Errors) == 0 {
		body.Errors = []entry{{Code: refused.code, Message: refused.message}}
	}
	if refused.status == http.StatusUnauthorized {
		// Clients send a user name and a password once they are asked.
		w.Header().Set("WWW-Authenticate", `Basic realm="drayage", charset="UTF-8"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refused.status)
	if req.Method != http.MethodHead {
		_ = json.MarshalWrite(w, body) // the client is gone if it fails
	}
}
