package store

import (
	"strconv"
	"time"

	"github.com/drayage/drayage/internal/sqldb"
)

// maxLate is how long before its first word to the daemon a build may have been started:
// what its machine's clock says beyond that does not count.
const maxLate = 10 * time.Minute

// Order is when the build was started, as builds are put in an order: what the build
// says itself, but neither after the daemon first heard of it nor long before that.
func (i Invocation) Order() time.Time {
	switch {
	case i.Seen.IsZero():
		return i.Started
	case i.Started.IsZero(), i.Started.After(i.Seen):
		return i.Seen
	}
	if earliest := i.Seen.Add(-maxLate); i.Started.Before(earliest) {
		return earliest
	}
	return i.Started
}

// numberOf is the number that the build gives under a key of its metadata or workspace
// status: an integer, or a time as RFC 3339 has it. Zero if it gives none.
func (i Invocation) numberOf(key string) int64 {
	if key == "" {
		return 0
	}
	text, given := i.Metadata[key]
	if !given {
		text = i.Status[key]
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return sqldb.Micros(at)
	}
	return 0
}
