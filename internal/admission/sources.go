package admission

import (
	"fmt"
	"strings"
)

// maySource tells whether layers may be read from a repository.
func (r Rule) maySource(repository string) bool {
	allowed := r.Sources
	if len(allowed) == 0 {
		allowed = r.Repositories
	}
	return matchesAny(allowed, repository, matchRepository)
}

// againstSource says why layers may not be read from a repository, and what would change
// that.
func (r Rule) againstSource(repository string) string {
	advice := fmt.Sprintf("; to allow that, add %q to the rule's sources", repository)
	switch {
	case len(r.Sources) > 0:
		return fmt.Sprintf("allows the sources of layers %s, but not %s", strings.Join(r.Sources, ", "), repository) + advice
	case len(r.Repositories) > 0:
		return fmt.Sprintf("has no sources, so layers are read only from the remote cache and from its repositories %s, but not from %s",
			strings.Join(r.Repositories, ", "), repository) + advice
	}
	return fmt.Sprintf("has neither sources nor repositories, so layers are read only from the remote cache, but not from %s", repository) + advice
}
