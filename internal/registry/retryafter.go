package registry

import (
	"net/http"
	"strconv"
	"time"
)

// maxRetryAfter bounds the wait that a server may ask for: one answer must not keep all
// builds from it for a day.
const maxRetryAfter = 30 * time.Minute

// maxAsked bounds what is told of the wait that a server asked for: about thirty years.
const maxAsked = 1e9

// retryAfter is the delay of a Retry-After header, which is in seconds or a date: how long
// the server is left alone, and what it asked for.
func retryAfter(resp *http.Response, now time.Time) (after, asked time.Duration) {
	value := resp.Header.Get("Retry-After")
	if value == "" {
		return 0, 0
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if seconds > 0 {
			asked = time.Duration(min(seconds, maxAsked) * float64(time.Second))
		}
	} else if date, err := http.ParseTime(value); err == nil {
		asked = max(0, date.Sub(now))
	}
	return min(asked, maxRetryAfter), asked
}
