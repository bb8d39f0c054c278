package registry

import (
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// tokenLife is the lifetime of a token whose service does not tell it
	// (distribution's token specification, "expires_in").
	tokenLife = time.Minute
	// minTokenLife is for how long a token is used that is said to be over: clocks
	// differ, and the registry will say so if it really is.
	minTokenLife = 10 * time.Second
	// maxTokenLife bounds what a service says.
	maxTokenLife = 24 * time.Hour
)

// tokenAnswer is what a token service gave.
type tokenAnswer struct {
	token, refresh string
	life           time.Duration
}

// parseToken reads a token service's answer. The problem, if there is one, says nothing
// of what is in it.
func parseToken(header http.Header, body []byte, now time.Time) (answer *tokenAnswer, problem string) {
	var doc map[string]jsontext.Value
	if unmarshalLoosely(body, &doc) != nil {
		return nil, notJSON(header.Get("Content-Type"), body)
	}
	str := func(key string) string {
		var text string
		_ = unmarshalLoosely(doc[key], &text) // what is no text is not there
		return text
	}
	a := &tokenAnswer{token: str("access_token"), refresh: str("refresh_token")}
	if a.token == "" {
		a.token = str("token")
	}
	if a.token == "" {
		if codes := knownCodes(nil, body); len(codes) > 0 {
			return nil, "it answers " + strings.Join(codes, ", ")
		}
		return nil, "its answer has neither token nor access_token"
	}
	if strings.ContainsFunc(a.token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, "the token is not fit for an HTTP header"
	}
	a.life = lifeOf(doc["expires_in"], str("issued_at"), header, now)
	return a, ""
}

// lifeOf is for how long a token can be used from now on. A service that keeps its tokens
// for a while says when it made one, by its own clock: its Date header says what that is
// now.
func lifeOf(expiresIn jsontext.Value, issuedAt string, header http.Header, now time.Time) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(strings.TrimSpace(string(expiresIn)), `"`), 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return tokenLife
	}
	life := time.Duration(min(seconds, maxTokenLife.Seconds()) * float64(time.Second))
	issued, err := time.Parse(time.RFC3339, issuedAt)
	if err != nil {
		return life
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	// One of the future was made just now.
	if left := life - max(0, now.Sub(issued)); left > 0 {
		return left
	}
	return min(life, minTokenLife)
}

// notJSON says what was given in place of a token.
func notJSON(contentType string, body []byte) string {
	media, _, _ := mime.ParseMediaType(contentType)
	start := strings.ToLower(strings.TrimSpace(string(body[:min(len(body), 256)])))
	switch {
	case len(start) == 0:
		return "its answer is empty"
	case media == "text/html" || strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html"):
		return "its answer is an HTML page and not JSON; there may be a proxy or a login page in the way"
	case slices.Contains([]string{"text/plain", "text/xml", "application/xml", "application/octet-stream"}, media):
		return "its answer is " + media + " and not JSON"
	}
	return "its answer is not JSON"
}

// serviceCodes are the codes of errors that may be told of a token service: those of the
// distribution spec, and of OAuth 2 (RFC 6749, sections 4.1.2.1 and 5.2).
var serviceCodes = []string{
	"UNAUTHORIZED", "DENIED", "NAME_INVALID", "NAME_UNKNOWN", "UNSUPPORTED", "TOOMANYREQUESTS", "UNAVAILABLE",
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"access_denied", "server_error", "temporarily_unavailable", "insufficient_scope", "invalid_token",
}

// knownCodes are those of an answer's codes that may be told.
func knownCodes(codes []string, body []byte) []string {
	var doc struct {
		Error string `json:"error"`
	}
	if unmarshalLoosely(body, &doc) == nil && doc.Error != "" {
		codes = append(slices.Clone(codes), doc.Error)
	}
	var known []string
	for _, code := range codes {
		if slices.Contains(serviceCodes, code) && !slices.Contains(known, code) {
			known = append(known, code)
		}
	}
	return known
}
