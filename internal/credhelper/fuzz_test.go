package credhelper

import (
	"strings"
	"testing"
)

// FuzzAnswer: what a helper prints is headers, or an error that tells nothing of it.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"headers":{"Authorization":["Bearer hunter2hunter2"]},"expires":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"headers":{"a":null},"expires":""}`))
	f.Add([]byte(`{"headers":{"Authorization":["Bearer hunter2hunter2"]},"expires":"hunter2hunter2"}`))
	f.Fuzz(func(t *testing.T, out []byte) {
		got, err := parse("helper", "https://cas.test", out)
		if err != nil && (got.headers != nil || strings.Contains(err.Error(), "hunter2") || len(err.Error()) > 200) {
			t.Errorf("%q is %v, %v", out, got.headers, err)
		}
	})
}
