package dispatch

import (
	"fmt"
	"maps"
	"time"

	"github.com/drayage/drayage/internal/store"
	"github.com/drayage/drayage/pushspec"
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
func (w *Worker) stamp(destination pushspec.Destination, invocation store.Invocation, enqueued time.Time) (pushspec.Destination, error) {
	vars := make(map[string]string, len(invocation.Status)+len(invocation.Metadata))
	maps.Copy(vars, invocation.Status)
	maps.Copy(vars, invocation.Metadata)
	stamped, err := destination.Stamp(vars)
	if err == nil {
		return stamped, nil
	}
	began := invocation.Started
	if enqueued.After(began) {
		began = enqueued
	}
	if !invocation.Finished && invocation.Status == nil && w.now().Sub(began) < stampLimit {
		return pushspec.Destination{}, &store.PostponeError{After: stampPoll}
	}
	return pushspec.Destination{}, &stampError{err: fmt.Errorf("fill in the destination: %w", err)}
}

// source finds out which commit was built. The names are those of Bazel's
// documentation ("workspace status"), of the scripts of BuildBuddy, and of the
// variables of common CI systems.
func source(invocation store.Invocation) (commit, branch string, dirty bool) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := invocation.Metadata[name]; v != "" {
				return v
			}
			if v := invocation.Status[name]; v != "" {
				return v
			}
		}
		return ""
	}
	commit = first("COMMIT_SHA", "BUILD_SCM_REVISION", "STABLE_BUILD_SCM_REVISION", "STABLE_GIT_COMMIT", "GIT_COMMIT")
	branch = first("BRANCH_NAME", "GIT_BRANCH", "STABLE_GIT_BRANCH", "BUILD_SCM_BRANCH", "STABLE_BUILD_SCM_BRANCH")
	switch first("BUILD_SCM_STATUS", "STABLE_BUILD_SCM_STATUS", "GIT_TREE_STATUS", "STABLE_GIT_TREE_STATUS") {
	case "Modified", "modified", "Dirty", "dirty":
		dirty = true
	}
	return commit, branch, dirty
}
