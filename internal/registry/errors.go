package registry

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/registry/pacer"
)

// Error is a request that a registry, or its token service, did not carry out.
type Error struct {
	// Op is what was attempted: "upload layer".
	Op string
	// registry is the host that was asked.
	registry string
	// service is the host of the registry's token service, where that is who did not
	// carry it out.
	service string
	// Status is the HTTP status, or 0 where there was no answer; Err is the reason
	// then.
	Status int
	err    error
	// codes and Message are what the registry says of it. The message is short
	// and printable.
	codes   []string
	message string
	// Credential is the kind of credential that was used, and where it comes from:
	// "anonymously", "with a user name and password ("ghcr.io" in
	// ~/.docker/config.json)".
	Credential string
	// looked are the places where credentials were looked for in vain.
	looked []string
	// RetryAfter is how long to wait before the next try, or zero where nobody asked for
	// a wait.
	RetryAfter time.Duration
	// wished is what was asked for, which may be longer.
	wished time.Duration
	// pause is set where nothing was sent, since an answer before asked for a wait.
	pause *pacer.Pause

	// lost marks a manifest that refers to what the registry did not find. It may find
	// it a little later.
	lost bool
}

func (e *Error) Error() string {
	var s strings.Builder
	who := "registry " + e.registry
	if e.service != "" {
		who = "token service " + e.service + " of " + who
	}
	fmt.Fprintf(&s, "%s: %s", e.Op, who)
	switch {
	case e.pause != nil:
		s.WriteString(" " + pauseText(*e.pause))
		return s.String()
	case e.Status == 0:
		if _, told := errors.AsType[*trouble](e.err); !told {
			s.WriteString(" did not answer:")
		}
		fmt.Fprintf(&s, " %v", e.err)
		return s.String()
	case e.Denied():
		fmt.Fprintf(&s, " refused access (%d) when asked %s", e.Status, e.Credential)
	default:
		fmt.Fprintf(&s, " answered %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.message != "" {
		s.WriteString(": " + e.message)
	}
	if e.RetryAfter > 0 {
		s.WriteString(" (" + waitText(e.RetryAfter, e.wished) + ")")
	}
	if len(e.looked) > 0 {
		s.WriteString("; no credentials were found in " + shorten(strings.Join(e.looked, ", "), maxLooked))
	}
	return s.String()
}

// maxLooked bounds the account of where credentials were looked for, in bytes.
const maxLooked = 1000

// trouble is what keeps a request from being carried out, in words that follow the name
// of the server: "speaks plain HTTP".
type trouble struct {
	text string
	// lasts tells that another try would meet it again.
	lasts bool
	err   error
}

// brokeOff is the error of an answer whose body ended too early.
func (h *host) brokeOff(op string, err error) *Error {
	err = unwrapURL(err)
	return &Error{Op: op, registry: h.name.RegistryStr(), err: &trouble{text: "broke off its answer: " + h.client.tell(err.Error(), false), err: err}}
}

func (t *trouble) Error() string { return t.text }
func (t *trouble) Unwrap() error { return t.err }
func (t *trouble) Lasting() bool { return t.lasts }

func (e *Error) Unwrap() error { return e.err }

// Denied tells whether the credentials were missing or did not suffice.
func (e *Error) Denied() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// Throttled tells whether the registry asks for fewer requests.
func (e *Error) Throttled() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0
}

// Host is the registry that was asked.
func (e *Error) Host() string { return e.registry }

// Passing tells whether the same request may go well a little later.
func (e *Error) Passing() bool {
	if e.lost {
		return true
	}
	switch e.Status {
	case 0:
		return !lasts(e.err)
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, 499:
		return true
	}
	return e.Status >= 500 && e.Status != http.StatusNotImplemented && e.Status != http.StatusHTTPVersionNotSupported
}

// Has tells whether the registry gave an error code of the distribution spec:
// "MANIFEST_BLOB_UNKNOWN".
func (e *Error) Has(code string) bool {
	return slices.Contains(e.codes, code)
}

// asError is the registry error in err, or nil.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return nil
}

// Unknown tells whether a manifest was refused because the registry lacks what it
// refers to, or does not see it yet.
func (e *Error) Unknown() bool { return e.lost }

// unknown tells whether the registry says that it lacks something.
func (e *Error) unknown() bool {
	return e != nil && slices.ContainsFunc([]string{"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_UNVERIFIED"}, e.Has)
}

// lasts tells whether an error, or what it wraps, says that another try would fail in
// the same way.
func lasts(err error) bool {
	type lasting interface {
		error
		Lasting() bool
	}
	l, ok := errors.AsType[lasting](err)
	return ok && l.Lasting()
}
