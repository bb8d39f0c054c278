package dispatch

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/drayage/drayage/internal/store"
)

const (
	// stampPoll is how soon a job comes back whose stream has not told yet what its
	// destination needs.
	stampPoll = time.Second

	// stampLimit is how long such a job waits for a stream that is still open: Bazel
	// tells of the workspace status when it runs its first actions.
	stampLimit = time.Hour
)

// stampError says that a stamp variable could not be filled in.
type stampError struct{ err error }

func (e *stampError) Error() string { return e.err.Error() }

func (e *stampError) Unwrap() error { return e.err }

// stamp fills in the destination's variables from what the stream said. The
// build's metadata wins over the workspace status: it was given for this very
// build, on its command line. While the stream may yet bring what is missing,
// the error is a [*store.PostponeError]. The time for that begins with the build, or
// with the job: a job can be looked at before anything of its build is stored.
func (r *run) stamp() error {
	vars := make(map[string]string, len(r.invocation.Status)+len(r.invocation.Metadata))
	maps.Copy(vars, r.invocation.Status)
	maps.Copy(vars, r.invocation.Metadata)
	var err error
	r.destination, err = r.spec.Destination.Stamp(vars)
	lacks := func(name string) bool { return vars[name] == "" }
	// A default is for a build that has told all, and not this variable.
	if err == nil && !slices.ContainsFunc(r.spec.Destination.Variables(), lacks) {
		return nil
	}
	began := r.invocation.Started
	if r.attempt.Created.After(began) {
		began = r.attempt.Created
	}
	if !r.invocation.Finished && r.invocation.Status == nil && r.worker.opts.Now().Sub(began) < stampLimit {
		return &store.PostponeError{After: stampPoll}
	}
	if err == nil {
		return nil
	}
	return &stampError{err: fmt.Errorf("fill in the destination: %w", err)}
}
