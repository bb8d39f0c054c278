package registry

import (
	"net/http"
	"strconv"
	"time"
)

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
