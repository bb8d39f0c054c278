package bes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// credentialHelper gets headers from a program that speaks Bazel's credential helper
// protocol: it is run with the argument "get", reads {"uri": …} and writes
// {"headers": {NAME: [VALUE, …]}, "expires": RFC 3339}.
// See https://github.com/EngFlow/credential-helper-spec.
type credentialHelper struct {
	path   string
	secure bool
	now    func() time.Time

	mu      sync.Mutex
	headers map[string]string
	uri     string
	expires time.Time
}

const (
	// credentialTimeout is Bazel's --credential_helper_timeout.
	credentialTimeout = 10 * time.Second
	// credentialLife is how long headers without an expiry are used: Bazel's
	// --credential_helper_cache_duration.
	credentialLife = 30 * time.Minute
	// credentialMargin is how long before their expiry headers are had anew.
	credentialMargin = 10 * time.Second
)

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (h *credentialHelper) GetRequestMetadata(ctx context.Context, uri ...string) (map[string]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := strings.Join(uri, " ")
	if h.headers != nil && h.uri == at && h.now().Before(h.expires) {
		return h.headers, nil
	}
	headers, expires, err := h.run(ctx, at)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "credential helper %s: %v", h.path, err)
	}
	if expires.IsZero() {
		expires = h.now().Add(credentialLife)
	}
	h.headers, h.uri, h.expires = headers, at, expires.Add(-credentialMargin)
	return headers, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (h *credentialHelper) RequireTransportSecurity() bool { return h.secure }

// forget drops the headers, which the backend did not like.
func (h *credentialHelper) forget() {
	h.mu.Lock()
	h.headers = nil
	h.mu.Unlock()
}

func (h *credentialHelper) run(ctx context.Context, uri string) (map[string]string, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, credentialTimeout)
	defer cancel()
	request, err := json.Marshal(map[string]string{"uri": uri})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("encode request: %w", err)
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, h.path, "get")
	command.Stdin = bytes.NewReader(request)
	command.Stdout, command.Stderr = &stdout, &stderr
	command.WaitDelay = time.Second
	if err := command.Run(); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = fmt.Errorf("%w: %s", err, text[:min(len(text), 512)])
		}
		return nil, time.Time{}, err
	}
	var answer struct {
		Headers map[string][]string `json:"headers"`
		Expires string              `json:"expires"`
	}
	// The helper's output holds secrets: an error must not repeat it.
	if json.Unmarshal(stdout.Bytes(), &answer) != nil {
		return nil, time.Time{}, errors.New("its answer is not the JSON that it must be")
	}
	headers := make(map[string]string, len(answer.Headers))
	for name, values := range answer.Headers {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	var expires time.Time
	if answer.Expires != "" {
		if expires, err = time.Parse(time.RFC3339, answer.Expires); err != nil {
			return nil, time.Time{}, errors.New("its answer's expiry is not a time of RFC 3339")
		}
	}
	return headers, expires, nil
}
