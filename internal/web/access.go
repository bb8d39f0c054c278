package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/drayage/drayage/internal/operator"
)

// Access says who may do what over HTTP.
type Access interface {
	// Client names who sends a request. It is an error if the token that the request
	// shows is unknown.
	Client(r *http.Request) (name string, err error)
	MayRead(client string) bool
	MayOperate(client string) bool
	// MayPromote is of who may promote, reject, roll back and lift fences, and
	// MayPromoteWithheld of who may promote what is withheld.
	MayPromote(client string) bool
	MayPromoteWithheld(client string) bool
}

// guarded lets pass what the client of a request may do. Whether the daemon is alive
// is for everybody to ask.
func guarded(access Access, next http.Handler) http.Handler {
	if access == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz", "/readyz":
			next.ServeHTTP(w, r)
			return
		}
		client, err := access.Client(r)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="drayage", charset="UTF-8"`)
			problem(w, http.StatusUnauthorized, "Access denied", err.Error())
			return
		}
		may, list := access.MayRead, "read"
		switch {
		case promotes(r):
			may, list = access.MayPromote, "promote"
		case operates(r):
			may, list = access.MayOperate, "operate"
		}
		if may(client) {
			next.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("Authorization") == "" {
			// A browser asks its user for a token then, and sends it as a password.
			w.Header().Set("WWW-Authenticate", `Basic realm="drayage", charset="UTF-8"`)
			problem(w, http.StatusUnauthorized, "Access denied", client+" is not in the daemon's policy."+list+"; show a token: drayage takes one from the file that DRAYAGE_TOKEN_FILE names")
			return
		}
		problem(w, http.StatusForbidden, "Access denied", client+" is not in the daemon's policy."+list)
	})
}

// operates tells whether a request changes anything. To verify the ledger is a lot of
// reading.
func operates(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return false
	}
	return r.URL.Path != operator.VerifyPath
}

// promotes tells whether a request is about what tags point to. The pages that ask
// whether a decision is meant count, so that a browser asks for a token before there is
// a form to send.
func promotes(r *http.Request) bool {
	if r.URL.Path == operator.LiftPath {
		return true
	}
	return slices.ContainsFunc(verdicts, func(v verdict) bool {
		return r.URL.Path == v.path || strings.HasPrefix(r.URL.Path, pagePrefix) && strings.HasSuffix(r.URL.Path, "/"+v.name)
	})
}

// client names who sent a request that was let pass, for the log.
func (h *handler) client(r *http.Request) string {
	if h.Access == nil {
		return r.RemoteAddr
	}
	name, err := h.Access.Client(r)
	if err != nil {
		return r.RemoteAddr
	}
	return name
}
