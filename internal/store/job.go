package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/drayage/drayage/internal/sqldb"
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
	// Owner is the client as well if it has proved who it is. It must be the invocation's,
	// and is not kept with the job.
	Owner string `json:"-"`
	// Started is when the build says that it was started. A job can be worked at before
	// anything else of its build is stored.
	Started time.Time `json:"started,omitzero"`
	// Priority orders the jobs that wait. Zero means [PriorityNormal].
	Priority Priority `json:"priority,omitempty"`
	// Uncached is the tag of the target that keeps its push spec out of remote caches,
	// if it has one.
	Uncached string `json:"uncached,omitempty"`

	// Gate is what the build itself asks for as DRAYAGE_RELEASE: what its tags wait for.
	Gate string `json:"gate,omitempty"`

	// Action is what is to be done. Entry is the row of the ledger that it is done to,
	// if it is not a push.
	Action Action `json:"action,omitempty"`
	Entry  int64  `json:"entry,omitempty"`
}

// Action is what a job does.
type Action string

// The actions.
const (
	// ActionPush brings an image to its registry, and moves its tags if no gate holds them.
	ActionPush Action = ""
	// ActionTag moves the tags of a staged image, or withholds them: the release of the
	// invocation says which. The tags are those that its row holds back, or, of one that
	// was rolled back, those that it had.
	ActionTag Action = "tag"
	// ActionRestore moves tags back to what they pointed to before: those that its row has,
	// and says so of. A job that did not end well may have written tags of which its row
	// does not tell, or those that it holds back: [TagGrant.Previous] has what they pointed
	// to. The others were not written.
	ActionRestore Action = "restore"
)

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

// clean takes out of a job what not every database can keep as text. A build's
// labels are text already, so nothing that matters is lost.
func (j Job) clean() Job {
	for _, field := range []*string{
		&j.Invocation, &j.Build, &j.Target, &j.Configuration, &j.Aspect, &j.Client,
		&j.Uncached, &j.Gate, &j.Spec.Instance, &j.Spec.Function, &j.Spec.Hash, &j.Spec.Host,
	} {
		*field = sqldb.CleanText(*field)
	}
	if j.Priority < PriorityUrgent || j.Priority > PriorityIdle {
		j.Priority = PriorityNormal
	}
	return j
}

// jobArgs is a Job as River's queue holds it.
type jobArgs struct{ Job }

// Kind implements [river.JobArgs].
func (jobArgs) Kind() string { return "haul" }

// maxRuns bounds how often one job is begun, interrupted runs included, so that
// a job that kills its daemon each time comes to an end. Failures are bounded by
// [Options.MaxAttempts], long before.
const maxRuns = 1000

// insertJobs puts jobs into the queue and returns their numbers in order.
func (s *Store) insertJobs(ctx context.Context, tx sqldb.Conn, jobs []Job) ([]int64, error) {
	params := make([]river.InsertManyParams, len(jobs))
	for i, job := range jobs {
		params[i] = river.InsertManyParams{
			Args:       jobArgs{job},
			InsertOpts: &river.InsertOpts{Queue: job.queue(), Priority: int(job.Priority), MaxAttempts: maxRuns},
		}
	}
	return s.db.InsertJobs(ctx, tx, params)
}

func decodeJob(row *rivertype.JobRow) (Job, error) {
	var args jobArgs
	if err := json.Unmarshal(row.EncodedArgs, &args); err != nil {
		return Job{}, fmt.Errorf("decode job %d: %w", row.ID, err)
	}
	return args.Job, nil
}
