package registry

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Error is a request that a registry, or its token service, did not carry out.
type Error struct {
	// Op is what was attempted: "upload layer".
	Op string
	// Registry is the host that was asked.
	Registry string
	// Service is the host of the registry's token service, where that is who did not
	// carry it out.
	Service string
	// Status is the HTTP status, or 0 where there was no answer; Err is the reason
	// then.
	Status int
	Err    error
	// Codes and Message are what the registry says of it. The message is short
	// and printable.
	Codes   []string
	Message string
	// Credential is the kind of credential that was used, and where it comes from:
	// "anonymously", "with a user name and password ("ghcr.io" in
	// ~/.docker/config.json)".
	Credential string
	// Looked are the places where credentials were looked for in vain.
	Looked []string
	// RetryAfter is how long the registry asked to wait, or zero.
	RetryAfter time.Duration

	// lost marks a manifest that refers to what the registry did not find. It may find
	// it a little later.
	lost bool
}

func (e *Error) Error() string {
	var s strings.Builder
	who := "registry " + e.Registry
	if e.Service != "" {
		who = "token service " + e.Service + " of " + who
	}
	fmt.Fprintf(&s, "%s: %s", e.Op, who)
	switch {
	case e.Status == 0:
		if _, told := errors.AsType[*trouble](e.Err); !told {
			s.WriteString(" did not answer:")
		}
		fmt.Fprintf(&s, " %v", e.Err)
		return s.String()
	case e.Denied():
		fmt.Fprintf(&s, " refused access (%d), asked %s", e.Status, e.Credential)
	default:
		fmt.Fprintf(&s, " answered %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Message != "" {
		s.WriteString(": " + e.Message)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&s, " (try again in %s)", e.RetryAfter.Round(time.Second))
	}
	if len(e.Looked) > 0 {
		s.WriteString("; credentials were looked for in " + shorten(strings.Join(e.Looked, ", "), maxLooked))
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

func (t *trouble) Error() string { return t.text }
func (t *trouble) Unwrap() error { return t.err }
func (t *trouble) Lasting() bool { return t.lasts }

// CredentialError says that it could not be found out which credentials there are for a
// repository.
type CredentialError struct {
	// Repository is that one, with its registry.
	Repository string
	Err        error
}

func (e *CredentialError) Error() string {
	return fmt.Sprintf("find credentials for %s: %v", e.Repository, e.Err)
}

// Unwrap returns what went wrong.
func (e *CredentialError) Unwrap() error { return e.Err }

func (e *Error) Unwrap() error { return e.Err }

// Denied tells whether the credentials were missing or did not suffice.
func (e *Error) Denied() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// Throttled tells whether the registry asks for fewer requests.
func (e *Error) Throttled() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable && e.RetryAfter > 0
}

// Passing tells whether the same request may go well a little later.
func (e *Error) Passing() bool {
	if e.lost {
		return true
	}
	switch e.Status {
	case 0:
		return !lasts(e.Err)
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, 499:
		return true
	}
	return e.Status >= 500 && e.Status != http.StatusNotImplemented && e.Status != http.StatusHTTPVersionNotSupported
}

// Has tells whether the registry gave an error code of the distribution spec:
// "MANIFEST_BLOB_UNKNOWN".
func (e *Error) Has(code string) bool {
	return slices.Contains(e.Codes, code)
}

// RealmError says that a registry sends its clients for tokens to where credentials are
// not taken: to an address of a private network, or from HTTPS to plain HTTP.
type RealmError struct {
	Registry string
	Err      error
}

func (e *RealmError) Error() string {
	return fmt.Sprintf("get a token: registry %s names a token service that is not asked: %v; if it is meant, say so with token_service in the settings of the registry",
		e.Registry, e.Err)
}

// Unwrap returns what is wrong with the service.
func (e *RealmError) Unwrap() error { return e.Err }

// MismatchError says that the bytes of a blob are not those that its digest
// names. The upload was not finished.
type MismatchError struct {
	Want v1.Hash
	// Got is the digest of the bytes, or says how many there were.
	Got string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("bytes of %s have the wrong digest: they are %s", e.Want, e.Got)
}

// ElsewhereError says that a registry sends an upload to another host, where
// nothing was sent.
type ElsewhereError struct {
	Registry string
	Host     string
}

func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("registry %s sends uploads on to %s, which was not followed", e.Registry, e.Host)
}

// sourceError marks an error of the reader that an upload's bytes come from, as
// opposed to one of the registry.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// maxRetryAfter bounds what a registry may ask for: nobody is to be told to come back
// next year.
const maxRetryAfter = 30 * time.Minute

// retryAfter is the delay of a Retry-After header, which is in seconds or a date.
func retryAfter(resp *http.Response, now time.Time) time.Duration {
	value := resp.Header.Get("Retry-After")
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if !(seconds > 0) {
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(0, date.Sub(now)), maxRetryAfter)
	}
	return 0
}

// asError is the registry error in err, or nil.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return nil
}
