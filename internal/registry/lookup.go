package registry

import (
	"errors"
	"net/http"
)

func (r *Repository) asksByGet() bool {
	return r.host.quirks().noHead || r.host.learned.noHead.holds(r.host.now())
}

// refusesLookup are answers to a lookup that say that there is nothing, or nothing at
// all: all that would be the same a little later, but for credentials that are wrong.
func refusesLookup(status int) bool {
	return status >= http.StatusBadRequest && status != http.StatusUnauthorized && !(&Error{Status: status}).Passing()
}

// refusesHead are answers to a HEAD that a GET may well not get.
func refusesHead(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusForbidden:
		return false
	}
	return refusesLookup(status)
}

// untold tells whether a lookup was sent on to where it is not followed.
func untold(err error) bool {
	if _, elsewhere := errors.AsType[*ElsewhereError](err); elsewhere {
		return true
	}
	failed := asError(err)
	return failed != nil && failed.Status >= 300 && failed.Status < 400
}
