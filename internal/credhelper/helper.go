// Package credhelper asks credential helpers that speak Bazel's protocol: the
// programs behind --credential_helper. One helper serves registries and remote
// caches alike.
//
// The protocol is specified at
// https://github.com/EngFlow/credential-helper-spec.
package credhelper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// DefaultLife is how long an answer is used that does not tell when it
	// expires. It is Bazel's --credential_helper_cache_duration.
	DefaultLife = 30 * time.Minute

	// timeout is how long a helper may take.
	timeout = 10 * time.Second

	// margin is how long before its end an answer is no longer used.
	margin = 10 * time.Second

	// maxAnswers bounds the answers kept.
	maxAnswers = 1024
)

// Helper is one credential helper. It is safe for concurrent use.
type Helper struct {
	path string
	now  func() time.Time

	mu      sync.Mutex // held while the helper runs: it may ask a person
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
	return &Helper{path: path, now: now, answers: map[string]answer{}}
}

// Headers are what to send along with requests to uri. The helper is asked again
// once what it said has expired.
func (h *Helper) Headers(ctx context.Context, uri string) (map[string][]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, found := h.answers[uri]; found && h.now().Add(margin).Before(known.expires) {
		return known.headers, nil
	}
	asked := h.now()
	got, err := h.ask(ctx, uri)
	if err != nil {
		return nil, err
	}
	if got.expires.IsZero() {
		got.expires = asked.Add(DefaultLife)
	}
	if len(h.answers) >= maxAnswers {
		clear(h.answers)
	}
	h.answers[uri] = got
	return got.headers, nil
}

// Forget drops what the helper said: whoever was shown it did not like it.
func (h *Helper) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.answers)
}

func (h *Helper) ask(ctx context.Context, uri string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	question, err := json.Marshal(map[string]string{"uri": uri})
	if err != nil {
		return answer{}, fmt.Errorf("ask credential helper: %w", err)
	}
	cmd := exec.CommandContext(ctx, h.path, "get")
	cmd.Stdin = bytes.NewReader(question)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		// What the helper printed may hold a secret; only its complaint is shown.
		var exited *exec.ExitError
		if errors.As(err, &exited) && len(exited.Stderr) > 0 {
			return answer{}, fmt.Errorf("credential helper %s for %s: %w: %s", h.path, uri, err, clip(exited.Stderr))
		}
		return answer{}, fmt.Errorf("credential helper %s for %s: %w", h.path, uri, err)
	}
	return parse(h.path, uri, out)
}

func parse(path, uri string, out []byte) (answer, error) {
	var said struct {
		Headers map[string][]string `json:"headers"`
		Expires string              `json:"expires"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		return answer{}, fmt.Errorf("credential helper %s for %s: its answer is not JSON of the form {\"headers\": …}", path, uri)
	}
	got := answer{headers: said.Headers}
	if said.Expires != "" {
		expires, err := time.Parse(time.RFC3339, said.Expires)
		if err != nil {
			return answer{}, fmt.Errorf("credential helper %s for %s: expires is not a time of RFC 3339", path, uri)
		}
		got.expires = expires
	}
	return got, nil
}

func clip(text []byte) string {
	text = bytes.TrimSpace(bytes.ToValidUTF8(text, nil))
	if len(text) > 300 {
		text = bytes.ToValidUTF8(text[:300], nil)
	}
	return string(text)
}
