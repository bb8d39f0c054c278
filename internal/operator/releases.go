package operator

import (
	"context"
	"time"
)

// MaxReason bounds the reason of a [Decision], in bytes.
const MaxReason = 1000

// The states of a [Release].
const (
	ReleaseWaiting = "waiting"
	ReleaseOpen    = "open"
	ReleaseClosed  = "closed"
)

// classApproval is the class of a release that waits for nothing but somebody's approval.
const classApproval = "approval"

// Release says whether the tags of one invocation move that wait at a gate.
type Release struct {
	// Gate is what they wait for: "green" or "approved". It is "pushed" if they did not
	// wait, and were rolled back.
	Gate string `json:"gate"`
	// State is waiting, open or closed.
	State string `json:"state"`
	// Class is one word for programs, and Reason a sentence for people: what the release
	// waits for, or why it is closed.
	Class  string `json:"class,omitzero"`
	Reason string `json:"reason,omitzero"`
	// Blocked says that it waits, and that nothing more happens by itself.
	Blocked bool `json:"blocked,omitzero"`
	// By is the client who decided, and Decided is when.
	By      string    `json:"by,omitzero"`
	Decided time.Time `json:"decided,omitzero"`
}

// Decision is what somebody decides about an invocation's release.
type Decision struct {
	Invocation string `json:"invocation"`
	// Reason is a sentence for people. A rejection must have one.
	Reason string `json:"reason,omitzero"`
}

// Decided says what a decision has changed.
type Decided struct {
	InvocationID string `json:"invocationId"`
	// Release is the invocation's release after the decision.
	Release Release `json:"release"`
	// Pushes counts those whose tags a rollback moves back.
	Pushes int `json:"pushes,omitzero"`
}

// Promote approves an invocation's release. The error is a [*NotFoundError] if the daemon
// does not know the invocation, and a [*ConflictError] if it cannot be promoted now.
func (c *Client) Promote(ctx context.Context, decision Decision) (Decided, error) {
	return c.decide(ctx, PromotePath, decision)
}

// Reject closes an invocation's release. Its errors are those of [Client.Promote].
func (c *Client) Reject(ctx context.Context, decision Decision) (Decided, error) {
	return c.decide(ctx, RejectPath, decision)
}

// Rollback has the tags that an invocation moved moved back. Its errors are those of
// [Client.Promote].
func (c *Client) Rollback(ctx context.Context, decision Decision) (Decided, error) {
	return c.decide(ctx, RollbackPath, decision)
}

func (c *Client) decide(ctx context.Context, path string, decision Decision) (Decided, error) {
	var decided Decided
	err := c.post(ctx, path, decision, &decided)
	return decided, err
}
