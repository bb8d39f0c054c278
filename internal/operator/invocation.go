package operator

import (
	"time"

	"github.com/drayage/drayage/internal/ledger"
)

// InvocationSummary is what a list says of one Bazel invocation.
type InvocationSummary struct {
	ID      string `json:"id"`
	BuildID string `json:"buildId"`
	// Command is the Bazel command, "build" say.
	Command string `json:"command,omitzero"`
	// BazelVersion is the version of Bazel.
	BazelVersion string `json:"bazelVersion,omitzero"`
	// Started is when the invocation began, by Bazel's clock.
	Started time.Time `json:"started,omitzero"`
	// Finished says that the whole stream has arrived.
	Finished bool `json:"finished"`
	// BrokenOff is when the stream was given up, since it ended early and nobody came back
	// with the rest. If somebody comes back after all, it is not there any more.
	BrokenOff time.Time `json:"brokenOff,omitzero"`
	// Unconfigured counts the targets and patterns of which Bazel never said what they
	// are, so that nobody knows whether they push anything.
	Unconfigured int `json:"unconfigured,omitzero"`
	// ExitCode is Bazel's name of how the build ended: "SUCCESS",
	// "BUILD_FAILURE", …
	ExitCode string `json:"exitCode,omitzero"`
}

// Invocation is what the daemon knows of one Bazel invocation.
type Invocation struct {
	InvocationSummary
	// Pending counts the pushes that are not done yet.
	Pending int `json:"pending"`
	// Outcomes counts the pushes that are done, by outcome.
	Outcomes map[ledger.Outcome]int `json:"outcomes"`
	// Missing counts the pushes that were expected and will not come.
	Missing int `json:"missing,omitzero"`
	// Release says whether the tags move that wait at a gate. Nil if none do or did.
	Release *Release `json:"release,omitzero"`
}

// Over says that nothing more of the build is to come.
func (i InvocationSummary) Over() bool { return i.Finished || !i.BrokenOff.IsZero() }

// Staged says that nothing is under way any more: all images are in their registries, or
// will not come. Their tags may wait.
func (i Invocation) Staged() bool { return i.Over() && i.Pending == 0 }

// Settled says that nothing changes any more by itself, unless the build's stream comes
// back: somebody may still have to decide.
func (i Invocation) Settled() bool {
	if !i.Staged() {
		return false
	}
	if i.Release == nil || i.Release.State != ReleaseWaiting {
		// What is staged has a release that waits. Where it does not, it has been read a
		// moment too early.
		return i.Outcomes[ledger.Staged] == 0
	}
	return i.Release.Blocked
}

// AwaitsApproval says that the tags wait for nothing but somebody who says so.
func (i Invocation) AwaitsApproval() bool {
	return i.Staged() && i.Release != nil && i.Release.State == ReleaseWaiting && i.Release.Class == classApproval
}

// InvocationPage lists invocations, the latest begun first.
type InvocationPage struct {
	Invocations []InvocationSummary `json:"invocations"`
	// Next is the cursor of the next page, or "" on the last one.
	Next string `json:"next,omitzero"`
}

// ExpectedSet is everything that an invocation asked for, or would have.
type ExpectedSet struct {
	Expected []ledger.Expected `json:"expected"`
	// Over says that nothing more of the build is to come: what is awaited is missing.
	Over bool `json:"over,omitzero"`
	// Unconfigured is that of the invocation: see [InvocationSummary].
	Unconfigured int `json:"unconfigured,omitzero"`
	// Omitted counts what was left off a list that is too long.
	Omitted int `json:"omitted,omitzero"`
}

// Comparison sets two invocations against each other.
type Comparison struct {
	Differences []ledger.Difference `json:"differences"`
	// Omitted counts what was left off a list that is too long.
	Omitted int `json:"omitted,omitzero"`
}
