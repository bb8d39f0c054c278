package ledger

import "time"

// Expected is a push that an invocation asked for, or would have.
type Expected struct {
	Target        string `json:"target"`
	Configuration string `json:"configuration,omitzero"`
	Aspect        string `json:"aspect,omitzero"`

	State ExpectedState `json:"state"`
	// Reason says why nothing came of it, where the stream gave one.
	Reason string `json:"reason,omitzero"`

	// SpecDigest and Found are of the push spec, if there is one.
	SpecDigest string    `json:"specDigest,omitzero"`
	Found      time.Time `json:"found,omitzero"`
	// Job is the last job for it, Outcome and Entry are its last row, if it has
	// ended.
	Job     int64   `json:"job,omitzero"`
	Outcome Outcome `json:"outcome,omitzero"`
	Entry   int64   `json:"entry,omitzero"`
}

// ExpectedState is what has become of an expected push.
type ExpectedState string

// The states. Only the first two have a push spec.
const (
	// ExpectedPending: it is to be done, or under way.
	ExpectedPending ExpectedState = "pending"
	// ExpectedEnded: it has a row.
	ExpectedEnded ExpectedState = "ended"
	// ExpectedIncomplete: the target's push specs are not all there, since some of
	// their actions failed.
	ExpectedIncomplete ExpectedState = "incomplete"
	// ExpectedAwaited: Bazel has configured the target, and has not told yet what came
	// of it.
	ExpectedAwaited ExpectedState = "awaited"
	// ExpectedUnbuilt: Bazel could not build the target.
	ExpectedUnbuilt ExpectedState = "unbuilt"
	// ExpectedAborted: Bazel announced the target and then gave it up.
	ExpectedAborted ExpectedState = "aborted"
	// ExpectedLost: the stream named no push spec of a target that was built, or named it
	// in a way that could not be followed.
	ExpectedLost ExpectedState = "lost"
)

// Missing says whether a push in this state is expected and will not come. Over says
// that nothing more of the build is to come.
func (s ExpectedState) Missing(over bool) bool {
	switch s {
	case ExpectedUnbuilt, ExpectedAborted, ExpectedIncomplete, ExpectedLost:
		return true
	case ExpectedAwaited:
		return over
	case ExpectedPending, ExpectedEnded:
	}
	return false
}
