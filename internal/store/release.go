package store

import "time"

// Release says whether the tags of one invocation move that wait at a gate. All of them
// move together, or none does. See docs/release.md.
type Release struct {
	Invocation string
	// Gate is the strictest that a push of the invocation waits at: green or approved.
	Gate  string
	State ReleaseState
	// Class is one word for programs, and Reason a sentence for people: what it waits
	// for, or why it is closed.
	Class, Reason string
	// Blocked says that it waits, and that nothing more happens by itself: a push has
	// ended badly and may be requeued, or somebody has to approve.
	Blocked bool
	// By is the client who decided, or "" if nobody had to; Decided is when.
	By      string
	Decided time.Time
}

// ReleaseState is whether tags move.
type ReleaseState string

// The states.
const (
	// ReleaseWaiting: the tags wait.
	ReleaseWaiting ReleaseState = "waiting"
	// ReleaseOpen: the tags move, or have moved.
	ReleaseOpen ReleaseState = "open"
	// ReleaseClosed: the tags do not move.
	ReleaseClosed ReleaseState = "closed"
)
