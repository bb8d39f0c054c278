// Package operator is the daemon's HTTP JSON API as its clients see it: the
// documents that it answers with, and a client. The daemon's side is
// internal/web.
package operator

import (
	"time"

	"github.com/drayage/drayage/internal/ledger"
)

// Paths of the API.
const (
	LedgerPath     = "/api/v1/ledger"
	InvocationPath = "/api/v1/invocations/" // and the invocation's id
)

// LedgerPage is the answer to a ledger query: entries, the newest first.
type LedgerPage struct {
	Entries []ledger.Entry `json:"entries"`
	// Next is the cursor of the next page, or 0 on the last one.
	Next int64 `json:"next,omitempty"`
}

// Invocation is what the daemon knows of one Bazel invocation.
type Invocation struct {
	ID      string `json:"id"`
	BuildID string `json:"buildId"`
	// Command is the Bazel command, "build" say.
	Command string `json:"command,omitempty"`
	// BazelVersion is the version of Bazel.
	BazelVersion string `json:"bazelVersion,omitempty"`
	// Started is when the invocation began, by Bazel's clock.
	Started time.Time `json:"started,omitzero"`
	// Finished says that the whole stream has arrived.
	Finished bool `json:"finished"`
	// ExitCode is Bazel's name of how the build ended: "SUCCESS",
	// "BUILD_FAILURE", …
	ExitCode string `json:"exitCode,omitempty"`
	// Pending counts the pushes that are not done yet.
	Pending int `json:"pending"`
	// Outcomes counts the pushes that are done, by outcome.
	Outcomes map[ledger.Outcome]int `json:"outcomes"`
}

// Problem is the answer to a request that failed (RFC 9457).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}
