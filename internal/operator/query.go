package operator

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/drayage/drayage/internal/ledger"
)

// EncodeQuery writes a query the way that the API takes it.
func EncodeQuery(q ledger.Query) url.Values {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("digest", q.Digest)
	set("registry", q.Registry)
	set("repository", q.Repository)
	set("tag", q.Tag)
	set("target", q.Target)
	set("invocation", q.Invocation)
	set("commit", q.Commit)
	set("outcome", string(q.Outcome))
	if !q.Since.IsZero() {
		set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	if !q.Until.IsZero() {
		set("until", q.Until.UTC().Format(time.RFC3339Nano))
	}
	if q.Limit > 0 {
		set("limit", strconv.Itoa(q.Limit))
	}
	if q.Before > 0 {
		set("before", strconv.FormatInt(q.Before, 10))
	}
	return values
}

// queryNames are the parameters that a query may have.
var queryNames = []string{
	"digest", "registry", "repository", "tag", "target", "invocation", "commit", "outcome", "since", "until", "limit", "before",
}

// DecodeQuery reads what [EncodeQuery] writes. A parameter that it does not know
// is an error: a filter that is misspelled must not show everything.
func DecodeQuery(values url.Values) (ledger.Query, error) {
	if err := onlyParameters(values, queryNames); err != nil {
		return ledger.Query{}, err
	}
	q := ledger.Query{
		Digest:     values.Get("digest"),
		Registry:   values.Get("registry"),
		Repository: values.Get("repository"),
		Tag:        values.Get("tag"),
		Target:     values.Get("target"),
		Invocation: values.Get("invocation"),
		Commit:     values.Get("commit"),
		Outcome:    ledger.Outcome(values.Get("outcome")),
	}
	var err error
	if q.Since, err = parseTime("since", values.Get("since")); err != nil {
		return ledger.Query{}, err
	}
	if q.Until, err = parseTime("until", values.Get("until")); err != nil {
		return ledger.Query{}, err
	}
	limit, err := parseCount("limit", values.Get("limit"))
	if err != nil {
		return ledger.Query{}, err
	}
	q.Limit = int(limit)
	q.Before, err = parseCount("before", values.Get("before"))
	return q, err
}

func parseTime(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		// Of other years a time zone can make what cannot be written again.
		if t, err := time.Parse(layout, text); err == nil && t.UTC().Year() > 0 && t.UTC().Year() < 9999 {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q must be a time such as 2026-01-31 or 2026-01-31T12:00:00Z", name, text)
}

func parseCount(name, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s: %q must be a whole number greater than 0", name, text)
	}
	return n, nil
}
