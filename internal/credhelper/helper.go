// Package credhelper asks credential helpers that speak Bazel's protocol: the
// programs behind --credential_helper. One helper serves registries and remote
// caches alike.
//
// The protocol is specified at
// https://github.com/EngFlow/credential-helper-spec.
package credhelper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/drayage/drayage/internal/flight"
	"github.com/drayage/drayage/internal/subprocess"
)

const (
	// defaultLife is how long an answer is used that does not tell when it
	// expires. It is Bazel's --credential_helper_cache_duration.
	defaultLife = 30 * time.Minute

	// timeout is how long a helper may take.
	timeout = 10 * time.Second

	// margin is how long before its end an answer is no longer used.
	margin = 10 * time.Second

	// sulk is for how long a helper that failed is not asked the same again.
	sulk = time.Second

	// maxAnswers bounds the answers kept.
	maxAnswers = 1024
)

// Helper is one credential helper. It is safe for concurrent use: who asks the same
// thing waits for one answer, and who asks something else does not wait.
type Helper struct {
	path  string
	now   func() time.Time
	limit time.Duration
	calls flight.Group[answer]

	mu      sync.Mutex
	answers map[string]answer
}

type answer struct {
	headers map[string][]string
	expires time.Time
}

// New makes a helper of the program at path. The clock may be nil.
func New(path string, now func() time.Time) *Helper {
	if now == nil {
		now = time.Now
	}
	h := &Helper{path: path, now: now, answers: map[string]answer{}}
	h.limitCalls(timeout)
	return h
}

// limitCalls sets how long the helper may take. One that is killed then says so itself,
// before the call is given up.
func (h *Helper) limitCalls(limit time.Duration) {
	h.limit = limit
	h.calls.Limit, h.calls.KeepFailure, h.calls.Now = limit+5*time.Second, sulk, h.now
}

// Headers are what to send along with requests to uri. The helper is asked again
// once what it said has expired.
func (h *Helper) Headers(ctx context.Context, uri string) (map[string][]string, error) {
	if known, found := h.known(uri); found {
		return known.headers, nil
	}
	got, err := h.calls.Do(ctx, uri, func(ctx context.Context) (answer, error) {
		if known, found := h.known(uri); found {
			return known, nil
		}
		asked := h.now()
		got, err := h.ask(ctx, uri)
		if err != nil {
			return answer{}, err
		}
		if got.expires.IsZero() {
			got.expires = asked.Add(defaultLife)
		}
		h.remember(uri, got)
		return got, nil
	})
	if _, ok := errors.AsType[*flight.LimitError](err); ok {
		err = fmt.Errorf("credential helper %s for %s: %w", h.path, uri, err)
	}
	return got.headers, err
}

func (h *Helper) known(uri string) (answer, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known, found := h.answers[uri]
	return known, found && h.now().Add(margin).Before(known.expires)
}

func (h *Helper) remember(uri string, got answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.answers) >= maxAnswers {
		clear(h.answers)
	}
	h.answers[uri] = got
}

// Forget drops what the helper said: whoever was shown it did not like it.
func (h *Helper) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.answers)
}

func (h *Helper) ask(ctx context.Context, uri string) (answer, error) {
	question, err := json.Marshal(map[string]string{"uri": uri})
	if err != nil {
		return answer{}, fmt.Errorf("ask credential helper: %w", err)
	}
	out, err := subprocess.Run(ctx, subprocess.Command{Path: h.path, Args: []string{"get"}, Input: question, Limit: h.limit})
	if err != nil {
		failed, ok := errors.AsType[*subprocess.Error](err)
		if !ok {
			return answer{}, fmt.Errorf("credential helper %s for %s: %w", h.path, uri, err)
		}
		complaint := ""
		// What the helper printed may hold a secret; only its complaint is shown.
		if words := subprocess.Plain(out.Stderr); failed.Exit != 0 && words != "" {
			complaint = ": " + words
		}
		return answer{}, &failure{text: fmt.Sprintf("credential helper %s for %s %v%s", h.path, uri, failed.Err, complaint), err: err}
	}
	return parse(h.path, uri, out.Stdout)
}

// failure is a helper that failed, in words.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

func parse(path, uri string, out []byte) (answer, error) {
	var said struct {
		Headers map[string][]string `json:"headers"`
		Expires string              `json:"expires"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return answer{}, fmt.Errorf("credential helper %s for %s: its answer must be JSON of the form {\"headers\": …}", path, uri)
	}
	got := answer{headers: said.Headers}
	if said.Expires != "" {
		expires, err := time.Parse(time.RFC3339, said.Expires)
		if err != nil {
			return answer{}, fmt.Errorf("credential helper %s for %s: expires must be a time in the form of RFC 3339", path, uri)
		}
		got.expires = expires
	}
	return got, nil
}
