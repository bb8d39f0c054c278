package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/drayage/drayage/internal/ledger"
)

// Job is one push spec to be acted on: one image to one repository. It is
// unique by invocation, target and digest of the spec.
type Job struct {
	Invocation    string  `json:"invocation"`
	Build         string  `json:"build,omitempty"`
	Target        string  `json:"target"`
	Configuration string  `json:"configuration,omitempty"`
	Aspect        string  `json:"aspect,omitempty"`
	Spec          SpecRef `json:"spec"`
	// Client is the identity of who ran the build.
	Client string `json:"client,omitempty"`
	// Priority orders the jobs that wait. Zero means [PriorityNormal].
	Priority Priority `json:"priority,omitempty"`
	// Uncached is the tag of the target that keeps its push spec out of remote caches,
	// if it has one.
	Uncached string `json:"uncached,omitempty"`
}

// Priority is one of four; the lowest number goes first.
type Priority int

// The priorities.
const (
	PriorityUrgent Priority = 1 + iota
	PriorityNormal
	PriorityLow
	PriorityIdle
)

// SpecRef says where a push spec's bytes are: in the CAS, or here.
type SpecRef struct {
	Instance string `json:"instance,omitempty"`
	Function string `json:"function,omitempty"`
	Hash     string `json:"hash,omitempty"`
	Size     int64  `json:"size,omitempty"`
	// Host is the CAS as the build event names it: host and port.
	Host string `json:"host,omitempty"`
	// Local says that the event names a file of the machine that ran Bazel, and no CAS.
	Local bool `json:"local,omitempty"`
	// Inline holds the spec where the build event itself carried it.
	Inline []byte `json:"inline,omitempty"`
}

// Digest names the spec, as "function:hex". Where the stream gave no digest, the
// bytes that it gave are hashed.
func (r SpecRef) Digest() string {
	if r.Hash == "" {
		sum := sha256.Sum256(r.Inline)
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return r.Function + ":" + r.Hash
}

// Attempt says how often a job was tried.
type Attempt struct {
	// Number counts the attempts that failed, and this one. An attempt that was
	// interrupted, by a stop or a crash of the daemon, is not counted.
	Number int
	// Max is the Number of the last attempt. Whoever works on it returns a row,
	// whatever happens.
	Max int
	// Created is when the job was enqueued.
	Created time.Time
	// Failures are the attempts before this one, the latest last.
	Failures []Failure

	job int64 // river_job.id
	run int   // river_job.attempt, which fences off earlier runs of the same job
}

// Job is the number that the job has in the store.
func (a Attempt) Job() int64 { return a.job }

// Failure is an attempt that failed.
type Failure struct {
	Time time.Time
	// Class is [RetryError.Class], for budgets that differ by class.
	Class string
	Text  string
}

// Worker does jobs.
type Worker interface {
	// Work does one attempt at a job. With a nil error the job is completed and
	// the row written, in one transaction. With a [*PostponeError] the job comes
	// again and the attempt does not count; with any other error it is tried again
	// after a while, at least [RetryError.After]. When ctx ends the job is given
	// back as it was.
	Work(ctx context.Context, job Job, attempt Attempt) (ledger.Entry, error)
}

// RetryError says that a job should be tried again, and when at the soonest.
type RetryError struct {
	// After is the least time until the next attempt. The store's own backoff
	// holds if it is longer.
	After time.Duration
	// Class is one word for programs. Later attempts find it in
	// [Attempt.Failures].
	Class string
	Err   error
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// PostponeError says that a job could not be begun yet (its registry is busy,
// say), which is nobody's failure.
type PostponeError struct {
	// After is how long to wait.
	After time.Duration
}

func (e *PostponeError) Error() string { return fmt.Sprintf("postponed by %s", e.After) }

// clean takes out of a job what not every database can keep as text. A build's
// labels are text already, so nothing that matters is lost.
func (j Job) clean() Job {
	for _, field := range []*string{
		&j.Invocation, &j.Build, &j.Target, &j.Configuration, &j.Aspect, &j.Client,
		&j.Uncached, &j.Spec.Instance, &j.Spec.Function, &j.Spec.Hash, &j.Spec.Host,
	} {
		*field = cleanText(*field)
	}
	if j.Priority < PriorityUrgent || j.Priority > PriorityIdle {
		j.Priority = PriorityNormal
	}
	return j
}

func cleanText(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
