package operator

import "time"

// Job is a job that has not ended.
type Job struct {
	ID int64 `json:"id"`
	// State is waiting (for a worker), running, retrying (it failed, and waits for
	// its next attempt) or later (it was postponed).
	State string `json:"state"`
	// Action is what the job does: push, tag (it moves the tags of a staged image, or
	// withholds them) or restore (it moves tags back).
	Action        string `json:"action"`
	InvocationID  string `json:"invocationId"`
	Target        string `json:"target"`
	Configuration string `json:"configuration,omitzero"`
	Aspect        string `json:"aspect,omitzero"`
	SpecDigest    string `json:"specDigest"`
	Client        string `json:"client,omitzero"`
	// Since is when the push spec was found, Next when the job is due if it waits
	// for a time.
	Since time.Time `json:"since"`
	Next  time.Time `json:"next,omitzero"`
	// Failures counts the attempts that failed; Error is what the last of them
	// said.
	Failures int    `json:"failures,omitzero"`
	Error    string `json:"error,omitzero"`
	// Daemon is the one that works, or worked last, on the job.
	Daemon string `json:"daemon,omitzero"`
}

// JobPage lists jobs in the order in which they were found.
type JobPage struct {
	Jobs []Job `json:"jobs"`
	// Next is the cursor of the next page, or 0 on the last one.
	Next int64 `json:"next,omitzero"`
}

// Selection says which jobs are meant. All fields that are set have to hold, and
// one has to be set.
type Selection struct {
	Job        int64  `json:"job,omitzero"`
	Invocation string `json:"invocation,omitzero"`
	Target     string `json:"target,omitzero"`
	// All means every job; it cannot be meant by leaving the others empty.
	All bool `json:"all,omitzero"`
}

// Acted says what became of the jobs that were selected.
type Acted struct {
	// Jobs counts those that were called off, made due, or begun anew.
	Jobs int `json:"jobs"`
	// Gone counts those that cannot be begun anew, since they are not kept any
	// more: they take a new build.
	Gone int `json:"gone,omitzero"`
	// Closed are registries that selected jobs wait for, and that are drained or blocked.
	Closed []string `json:"closed,omitzero"`
}
