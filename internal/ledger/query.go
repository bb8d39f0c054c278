package ledger

import (
	"fmt"
	"slices"
	"time"
)

const (
	// DefaultLimit is how many rows a page has if nobody says.
	DefaultLimit = 100
	// MaxLimit bounds a page.
	MaxLimit = 1000
)

// Query says which rows are wanted. Empty fields ask for nothing; all others
// have to hold. Rows come newest first, by time and then by ID.
type Query struct {
	// Digest is the digest of the root or of any manifest below it.
	Digest     string
	Registry   string
	Repository string
	// Tag finds the rows that wrote the tag: with Registry and Repository, its
	// history.
	Tag        string
	Target     string
	Invocation string
	Commit     string
	Outcome    Outcome
	// Since is the earliest time wanted, Until the first that is not.
	Since, Until time.Time

	// Limit bounds the page. Zero means [DefaultLimit].
	Limit int
	// Before is the ID of the last row of the page before this one.
	Before int64
}

// Check says what is wrong with the query.
func (q Query) Check() error {
	if q.Outcome != "" && !slices.Contains(Outcomes(), q.Outcome) {
		return fmt.Errorf("outcome %q is none of %v", q.Outcome, Outcomes())
	}
	if q.Limit < 0 || q.Limit > MaxLimit {
		return fmt.Errorf("limit: %d must be between 1 and %d", q.Limit, MaxLimit)
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return fmt.Errorf("since %s is not before until %s", q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339))
	}
	return nil
}

// AmbiguousError says that what a query gives is the beginning of several
// values, so that the rows of one that was not meant could look like the answer.
type AmbiguousError struct {
	// Field is "digest" or "commit", Given what the query has of it.
	Field, Given string
	// First and Last are two of the values that begin with it.
	First, Last string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%s: several begin with %s, %s and %s for two: give more of it", e.Field, e.Given, e.First, e.Last)
}
