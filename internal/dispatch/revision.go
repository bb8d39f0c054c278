package dispatch

import (
	"github.com/drayage/drayage/internal/store"
)

// revision is what was built.
type revision struct {
	commit, branch string
	// dirty says that the source tree had changes that are not in the commit.
	dirty bool
}

// maxRevision bounds a commit and a branch, in bytes. Each row of the build has them, and an
// index of the database takes no large text. What is larger is neither.
const maxRevision = 256

// revisionOf finds out what was built. The names are those of Bazel's
// documentation ("workspace status"), of the scripts of BuildBuddy, and of the
// variables of common CI systems.
func revisionOf(invocation store.Invocation) revision {
	first := func(names ...string) string {
		for _, name := range names {
			for _, given := range []map[string]string{invocation.Metadata, invocation.Status} {
				if v := given[name]; v != "" && len(v) <= maxRevision {
					return v
				}
			}
		}
		return ""
	}
	r := revision{
		commit: first("COMMIT_SHA", "BUILD_SCM_REVISION", "STABLE_BUILD_SCM_REVISION", "STABLE_GIT_COMMIT", "GIT_COMMIT"),
		branch: first("BRANCH_NAME", "GIT_BRANCH", "STABLE_GIT_BRANCH", "BUILD_SCM_BRANCH", "STABLE_BUILD_SCM_BRANCH"),
	}
	switch first("BUILD_SCM_STATUS", "STABLE_BUILD_SCM_STATUS", "GIT_TREE_STATUS", "STABLE_GIT_TREE_STATUS") {
	case "Modified", "modified", "Dirty", "dirty":
		r.dirty = true
	}
	return r
}
