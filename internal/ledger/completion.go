package ledger

import "time"

// Completion says what has become of all that an invocation was to push. It is what an
// event about an invocation says.
type Completion struct {
	InvocationID string `json:"invocationId"`
	BuildID      string `json:"buildId,omitzero"`
	// Sequence numbers the completions of one invocation: a push that is done again, or a
	// rollback, makes another one.
	Sequence int64  `json:"sequence"`
	Command  string `json:"command,omitzero"`
	// ExitCode is Bazel's name of the build's exit code.
	ExitCode string `json:"exitCode,omitzero"`
	// BrokenOff is when the event stream was given up, if it was.
	BrokenOff time.Time `json:"brokenOff,omitzero"`
	Commit    string    `json:"commit,omitzero"`
	Branch    string    `json:"branch,omitzero"`
	Dirty     bool      `json:"dirty,omitzero"`
	// Metadata is what the user gave as --build_metadata.
	Metadata map[string]string `json:"metadata,omitzero"`
	// Release is what was decided about tags that waited at a gate, if any did.
	Release *ReleaseDecision `json:"release,omitzero"`
	// Outcomes count the pushes by how they ended.
	Outcomes map[Outcome]int `json:"outcomes"`
	// Missing counts what the invocation was expected to push and will not. Unconfigured
	// counts targets and patterns of which Bazel never said what they are.
	Missing      int `json:"missing,omitzero"`
	Unconfigured int `json:"unconfigured,omitzero"`
	// Images are what was pushed, or was not. Omitted counts those that there is no room
	// for: the ledger has them.
	Images  []CompletedImage `json:"images"`
	Omitted int              `json:"omitted,omitzero"`
}

// ReleaseDecision is what was decided about tags that waited at a gate.
type ReleaseDecision struct {
	Gate string `json:"gate"`
	// State is open (the tags have moved) or closed; Class and Reason say why.
	State  string `json:"state"`
	Class  string `json:"class,omitzero"`
	Reason string `json:"reason,omitzero"`
	// By is who decided, if somebody did.
	By      string    `json:"by,omitzero"`
	Decided time.Time `json:"decided,omitzero"`
}

// CompletedImage is one push of a [Completion].
type CompletedImage struct {
	Target     string  `json:"target"`
	Outcome    Outcome `json:"outcome"`
	ErrorClass string  `json:"errorClass,omitzero"`
	Registry   string  `json:"registry,omitzero"`
	Repository string  `json:"repository,omitzero"`
	Digest     string  `json:"digest,omitzero"`
	// Tags are those that were written, HeldTags those that are kept back.
	Tags     []string `json:"tags,omitzero"`
	HeldTags []string `json:"heldTags,omitzero"`
	// Entry is the row of the ledger.
	Entry int64 `json:"entry"`
}
