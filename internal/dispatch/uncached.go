package dispatch

import (
	"slices"
)

// uncachedTags are the tags that keep what a target makes out of remote caches.
var uncachedTags = []string{"local", "no-cache", "no-remote", "no-remote-cache", "no-remote-cache-upload"}

// uncached is the one of a target's tags that keeps what it makes out of remote caches,
// or "".
func uncached(tags []string) string {
	for _, tag := range uncachedTags {
		if slices.Contains(tags, tag) {
			return tag
		}
	}
	return ""
}
