package bes

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Mode is what a backend's failure means.
type Mode int

const (
	// BestEffort never slows or fails Bazel. What the backend does not take in time is
	// kept for it within bounds. Beyond them its stream is given up, which is logged.
	BestEffort Mode = iota
	// Required makes the backend's acknowledgements Bazel's, and its failure
	// Bazel's failure.
	Required
)

// String is the mode as configuration files spell it.
func (m Mode) String() string {
	if m == Required {
		return "required"
	}
	return "best_effort"
}

// Backend is one BES backend that events are forwarded to.
type Backend struct {
	// Name is used in logs and metrics. Defaults to Address.
	Name string

	// Address is grpc://HOST:PORT, grpcs://HOST:PORT or unix:PATH.
	Address string

	// Mode defaults to BestEffort.
	Mode Mode

	// TLS says how to reach an address of grpcs://.
	TLS TLS

	// CredentialHelper is a program that speaks Bazel's credential helper protocol,
	// and whose headers are sent with every call. Defaults to none.
	CredentialHelper string

	// Headers are sent with every call.
	Headers map[string]string

	// PassHeaders are the names of Bazel's headers that are passed on. Defaults to
	// [DefaultPassHeaders]; an empty, non-nil slice means none.
	PassHeaders []string

	// Retries is how often in a row a best-effort stream is tried again without
	// progress. Any acknowledgement starts the count anew. Defaults to
	// [DefaultRetries], as Bazel does; negative means none.
	Retries int

	// RetryDelay is the delay before the first retry; each further one is 1.6
	// times as long. Defaults to [DefaultRetryDelay].
	RetryDelay time.Duration

	// Keepalive is the silence after which the backend is asked whether it is still
	// there, at least 10 s. Defaults to [DefaultKeepalive].
	Keepalive time.Duration

	// KeepaliveTimeout is how long it may take to answer, and to take in what was sent.
	// After that its connection counts as broken, and so do the streams on it. Defaults
	// to [DefaultKeepaliveTimeout].
	KeepaliveTimeout time.Duration
}

const (
	// DefaultRetries is how often Bazel tries again.
	DefaultRetries = 4
	// DefaultRetryDelay is Bazel's first delay.
	DefaultRetryDelay = time.Second
	// DefaultKeepalive is just above the five minutes that a gRPC server wants between
	// two questions by default: asked more often, it ends the connection.
	DefaultKeepalive = 5*time.Minute + 10*time.Second
	// DefaultKeepaliveTimeout is gRPC's.
	DefaultKeepaliveTimeout = 20 * time.Second
	// shortestKeepalive is gRPC's.
	shortestKeepalive = 10 * time.Second
	// retryGrowth is by how much Bazel lengthens each delay.
	retryGrowth = 1.6
)

// DefaultPassHeaders are BuildBuddy's key, and the request metadata that Bazel
// sends with every call. The authorization header is not among them: it is meant
// for whom it was sent to.
func DefaultPassHeaders() []string {
	return []string{"x-buildbuddy-api-key", "build.bazel.remote.execution.v2.requestmetadata-bin"}
}

func (b Backend) withDefaults() (Backend, error) {
	if b.Name == "" {
		b.Name = b.Address
	}
	if b.Address == "" {
		return b, errors.New("address must be given: grpc://HOST:PORT, grpcs://HOST:PORT or unix:PATH")
	}
	if _, _, err := target(b.Address); err != nil {
		return b, err
	}
	if b.Retries < 0 {
		b.Retries = -1
	}
	if b.PassHeaders == nil {
		b.PassHeaders = DefaultPassHeaders()
	}
	b.PassHeaders = slices.Clone(b.PassHeaders)
	for i, name := range b.PassHeaders {
		b.PassHeaders[i] = strings.ToLower(name)
	}
	b.Retries = orDefault(b.Retries, DefaultRetries)
	b.RetryDelay = orDefault(b.RetryDelay, DefaultRetryDelay)
	b.Keepalive = orDefault(b.Keepalive, DefaultKeepalive)
	b.KeepaliveTimeout = orDefault(b.KeepaliveTimeout, DefaultKeepaliveTimeout)
	if b.Keepalive < shortestKeepalive {
		return b, fmt.Errorf("keepalive must be at least %v, and is %v: servers end connections that ask more often", shortestKeepalive, b.Keepalive)
	}
	return b, nil
}

// target turns an address into what gRPC dials, and says whether TLS is asked for.
func target(address string) (dial string, secure bool, err error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return "", false, fmt.Errorf("address %q must name a socket, as in unix:/run/bes.sock", address)
		}
		return "unix:" + path, false, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", false, fmt.Errorf("parse address: %w", err)
	}
	if u.Host == "" || u.Path != "" && u.Path != "/" || (u.Scheme != "grpc" && u.Scheme != "grpcs") {
		return "", false, fmt.Errorf("address %q must be grpc://HOST:PORT, grpcs://HOST:PORT or unix:PATH", address)
	}
	secure = u.Scheme == "grpcs"
	host := u.Host
	if u.Port() == "" {
		if !secure {
			return "", false, fmt.Errorf("address %q must have a port", address)
		}
		host += ":443"
	}
	return "dns:///" + host, secure, nil
}
