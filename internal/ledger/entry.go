package ledger

import "time"

// Entry is one row of the ledger: how one job ended. Rows are written once, in
// the transaction that completes the job, and never changed.
type Entry struct {
	// ID is the row's number in its ledger. It only grows, and may skip numbers.
	ID int64 `json:"id,omitzero"`
	// Job is the number of the job that the row tells the end of. A job that is
	// asked for again after it failed is another job.
	Job int64 `json:"job,omitzero"`
	// Time is when the job ended, in UTC, by the clock of the daemon that did it.
	Time time.Time `json:"time"`

	Outcome Outcome `json:"outcome"`
	// ErrorClass and Error say why nothing was pushed, or why tags are kept back. The
	// class is one word for programs ("denied", "evicted"); the text is for people.
	ErrorClass string `json:"errorClass,omitzero"`
	Error      string `json:"error,omitzero"`

	// Registry and Repository are where the image went, with stamp variables
	// filled in.
	Registry   string `json:"registry,omitzero"`
	Repository string `json:"repository,omitzero"`
	// Digest is the root manifest's or index's.
	Digest string `json:"digest,omitzero"`
	// Manifests are the root and everything below it that has a digest of its own
	// in the repository.
	Manifests []Manifest `json:"manifests,omitzero"`
	Tags      []Tag      `json:"tags,omitzero"`

	// Gate is what the tags waited or wait for: "green" or "approved". Empty if they
	// moved as soon as the image was there.
	Gate string `json:"gate,omitzero"`
	// HeldTags are the tags that the image was to have and that do not point to it: those of
	// a staged or withheld image, and those that newer builds had.
	HeldTags []string `json:"heldTags,omitzero"`
	// NeverOverwrite says that the build asked for its tags not to be written over; it is
	// kept of a staged image until its tags move.
	NeverOverwrite bool `json:"neverOverwrite,omitzero"`
	// By is the client who decided: who promoted, rejected or rolled back the build.
	By string `json:"by,omitzero"`

	// Uploaded, Mounted and Present say how the image's blobs got there: their
	// bytes were sent, another repository of the registry lent them, or they were
	// there before.
	Uploaded Count `json:"uploaded,omitzero"`
	Mounted  Count `json:"mounted,omitzero"`
	Present  Count `json:"present,omitzero"`
	// Requests counts the requests to the registry.
	Requests int `json:"requests,omitzero"`
	// Attempts counts how often the job was begun, this time included.
	Attempts int `json:"attempts,omitzero"`
	// Duration is how long the last attempt took. In JSON it is durationSeconds, a
	// number.
	Duration time.Duration `json:"-"`

	// Target, Configuration and Aspect are Bazel's names of what asked for the
	// push.
	Target        string `json:"target,omitzero"`
	Configuration string `json:"configuration,omitzero"`
	Aspect        string `json:"aspect,omitzero"`
	// SpecDigest is the push spec's digest in the CAS, "function:hex".
	SpecDigest string `json:"specDigest,omitzero"`

	BuildID      string `json:"buildId,omitzero"`
	InvocationID string `json:"invocationId,omitzero"`
	// Command is the Bazel command: "build", "test", "run".
	Command      string `json:"command,omitzero"`
	BazelVersion string `json:"bazelVersion,omitzero"`
	// ExitCode is Bazel's name of the build's exit code, "SUCCESS" say. Empty in
	// a row that was written before the build ended; whoever reads such a row
	// gets the code that has become known since.
	ExitCode string `json:"exitCode,omitzero"`

	// Commit, Branch and Dirty are the state of the source tree, from the
	// workspace status or the build metadata.
	Commit string `json:"commit,omitzero"`
	Branch string `json:"branch,omitzero"`
	Dirty  bool   `json:"dirty,omitzero"`
	// Metadata is what the user gave as --build_metadata.
	Metadata map[string]string `json:"metadata,omitzero"`
	// MetadataDigest is the digest of the metadata, where that is not in the row's own bytes:
	// large metadata is kept once for all rows. See [Entry.DetachMetadata].
	MetadataDigest string `json:"metadataDigest,omitzero"`

	// Client is the identity of who ran the build, as admission established it.
	Client string `json:"client,omitzero"`
	// DaemonVersion is the version of the daemon that did the job.
	DaemonVersion string `json:"daemonVersion,omitzero"`
}

// Outcome is how a job ended.
type Outcome string

// The outcomes.
const (
	// Pushed: the image is in the registry, and something had to be sent for it.
	Pushed Outcome = "pushed"
	// Present: the image was there already, under all its tags.
	Present Outcome = "present"
	// Superseded: a newer build's tag was there, and was left alone.
	Superseded Outcome = "superseded"
	// Staged: the image is there by its digest, and its tags wait at a gate.
	Staged Outcome = "staged"
	// Withheld: the image is there by its digest, and its tags did not move: the build
	// ended badly, was rejected, or waited for too long.
	Withheld Outcome = "withheld"
	// RolledBack: tags that the build had moved point to what they pointed to before.
	RolledBack Outcome = "rolled-back"
	// Denied: the daemon's policy or the registry said no.
	Denied Outcome = "denied"
	// Failed: it could not be done, and is not tried again.
	Failed Outcome = "failed"
	// Cancelled: somebody called it off.
	Cancelled Outcome = "cancelled"
)

// Outcomes are all outcomes, in the order in which they are listed to people.
func Outcomes() []Outcome {
	return []Outcome{Pushed, Present, Superseded, Staged, Withheld, RolledBack, Denied, Failed, Cancelled}
}

// ClassConflict is the ErrorClass of a push that wants a tag for another image than
// another target of the same build does.
const ClassConflict = "conflict"

// Good says whether the image is in the registry as the build wanted it.
func (o Outcome) Good() bool { return o == Pushed || o == Present }

// Arrived says whether the image is in the registry by its digest, whatever became of its
// tags.
func (o Outcome) Arrived() bool {
	return o.Good() || o == Superseded || o == Staged || o == Withheld || o == RolledBack
}

// Bad says whether the push ended badly: the image is not in the registry, or not under
// its tags, and neither a newer build nor a rollback is the reason. A staged image may
// still get its tags.
func (o Outcome) Bad() bool {
	return o == Denied || o == Failed || o == Cancelled || o == Withheld
}

// Manifest is a manifest or an index that the row's repository serves.
type Manifest struct {
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType,omitzero"`
	// Platform is "os/architecture", with "/variant" if there is one. Empty for
	// an index.
	Platform string `json:"platform,omitzero"`
}

// Tag is a tag that was written.
type Tag struct {
	Name string `json:"name"`
	// Previous is the digest that the tag pointed to before, or "".
	Previous string `json:"previous,omitzero"`
	// Digest is what the tag points to now, where that is not the row's digest: after a
	// rollback. It is [RemovedTag] if the tag was removed.
	Digest string `json:"digest,omitzero"`
}

// RemovedTag is the Digest of a [Tag] that a rollback has removed.
const RemovedTag = "none"

// Count is a number of blobs and what they weigh together.
type Count struct {
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
}
