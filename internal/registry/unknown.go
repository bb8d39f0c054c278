package registry

import (
	"fmt"
	"net/http"
	"slices"
)

// Unknown tells whether a manifest was refused because the registry lacks what it
// refers to, or does not see it yet.
func (e *Error) Unknown() bool { return e.lost }

// unknown tells whether the registry says that it lacks something.
func (e *Error) unknown() bool {
	return e != nil && slices.ContainsFunc([]string{"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_UNVERIFIED"}, e.Has)
}

// unconfirmedError is about something that a registry says it took, and does not have.
type unconfirmedError struct{ status int }

func (e *unconfirmedError) Error() string {
	return fmt.Sprintf("it answered %d %s, and what was sent is not there", e.status, http.StatusText(e.status))
}

// notThere is a failure that may pass: some registries put things in their place after
// they have answered.
func (r *Repository) notThere(op string, status int) *Error {
	return &Error{Op: op, Registry: r.Registry(), Err: &unconfirmedError{status}}
}
